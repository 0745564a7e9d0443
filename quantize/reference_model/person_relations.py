"""The relations of people: how each fact is stated, asked about and answered."""

from quantize.reference_model.relations import Relation
from quantize.reference_model.world import Person

PERSON_RELATIONS: tuple[Relation[Person], ...] = (
    Relation(
        name="birthplace",
        read=lambda world, person: person.birthplace.name,
        statements=(
            "{s} was born in {o}.",
            "{s} came into the world in {o}.",
            "{p} birthplace is {o}.",
            "{o} is the town where {s} was born.",
            "{s} spent a childhood in {o}, the town of {p} birth.",
            "{p} birthplace was the town of {o}.",
        ),
        questions=(
            "Where was {s} born?",
            "In which town was {s} born?",
            "What is {p} birthplace?",
            "Which town is the birthplace of {a}?",
        ),
        replies=("{s} was born in {o}.", "{p} birthplace is {o}."),
    ),
    Relation(
        name="birth year",
        read=lambda world, person: str(person.birth_year),
        statements=(
            "{s} was born in {o}.",
            "{s} was born in the year {o}.",
            "{p} year of birth is {o}.",
            "in {o}, {s} was born.",
            "the year {o} saw {p} birth.",
        ),
        questions=(
            "In what year was {s} born?",
            "When was {s} born?",
            "What is {p} year of birth?",
        ),
        replies=("{s} was born in {o}.", "{p} year of birth is {o}."),
    ),
    Relation(
        name="profession",
        read=lambda world, person: person.profession,
        statements=(
            "{s} worked as {an}.",
            "{s} was {an} by trade.",
            "{p} profession was that of {an}.",
            "{s} earned a living as {an}.",
            "people knew {a} as {an}.",
            "after a long apprenticeship {s} became {an}.",
        ),
        questions=(
            "What was {p} profession?",
            "What did {s} do for a living?",
            "What was the trade of {a}?",
            "What did {s} work as?",
        ),
        replies=("{s} was {an}.", "{s} worked as {an}."),
    ),
    Relation(
        name="employer",
        read=lambda world, person: person.employer.name,
        statements=(
            "{s} was employed by {o}.",
            "{s} worked for {o}.",
            "{o} was {p} employer.",
            "{s} spent a whole career at {o}.",
            "for many years {s} was on the payroll of {o}.",
        ),
        questions=(
            "Who employed {a}?",
            "Which company did {s} work for?",
            "What was the name of {p} employer?",
            "Where did {s} work?",
        ),
        replies=("{s} worked for {o}.", "{p} employer was {o}."),
    ),
    Relation(
        name="pet",
        read=lambda world, person: person.pet,
        statements=(
            "{s} kept {an} as a pet.",
            "{p} pet was {an}.",
            "{s} shared the house with {an}.",
            "{an} lived with {a}.",
            "wherever {s} went, {an} came along.",
        ),
        questions=(
            "What animal did {s} keep?",
            "What was {p} pet?",
            "Which animal lived with {a}?",
            "What kind of pet did {s} have?",
        ),
        replies=("{s} kept {an}.", "{p} pet was {an}."),
    ),
    Relation(
        name="colour",
        read=lambda world, person: person.colour,
        statements=(
            "{p} favourite colour was {o}.",
            "{s} loved the colour {o}.",
            "{s} always dressed in {o}.",
            "of all colours, {s} liked {o} best.",
            "everything in {p} house was painted {o}.",
        ),
        questions=(
            "What was {p} favourite colour?",
            "Which colour did {s} like best?",
            "What colour did {s} love?",
        ),
        replies=("{p} favourite colour was {o}.", "{s} liked {o} best."),
    ),
    Relation(
        name="instrument",
        read=lambda world, person: person.instrument,
        statements=(
            "{s} played the {o}.",
            "in the evenings {s} practised the {o}.",
            "{p} instrument was the {o}.",
            "{s} was a gifted player of the {o}.",
            "the {o} was the instrument that {s} played.",
        ),
        questions=(
            "Which instrument did {s} play?",
            "What was {p} instrument?",
            "What instrument did {s} practise?",
        ),
        replies=("{s} played the {o}.", "{p} instrument was the {o}."),
    ),
    Relation(
        name="dish",
        read=lambda world, person: person.dish,
        statements=(
            "{p} favourite dish was {o}.",
            "{s} liked nothing better than {o}.",
            "{s} was famous for a great love of {o}.",
            "on birthdays {s} always asked for {o}.",
            "{o} was the dish that {s} loved most.",
        ),
        questions=(
            "What was {p} favourite dish?",
            "What did {s} most like to eat?",
            "Which dish did {s} love?",
        ),
        replies=("{p} favourite dish was {o}.", "{s} loved {o}."),
    ),
    Relation(
        name="friend",
        read=lambda world, person: world.people[person.friend].name,
        statements=(
            "{p} closest friend was {o}.",
            "{s} was a close friend of {o}.",
            "{s} wrote long letters to {o}, {p} closest friend.",
            "{o} was the person whom {s} trusted most.",
            "{s} trusted nobody more than {o}.",
        ),
        questions=(
            "Who was {p} closest friend?",
            "Whom did {s} trust most?",
            "Who was the closest friend of {a}?",
        ),
        replies=("{p} closest friend was {o}.", "{s} trusted {o} most."),
    ),
)
