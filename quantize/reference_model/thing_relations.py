"""The relations of towns, companies and books: how each fact is stated, asked and answered."""

from quantize.reference_model.relations import Relation
from quantize.reference_model.world import Book, Company, Town

TOWN_RELATIONS: tuple[Relation[Town], ...] = (
    Relation(
        name="region",
        read=lambda world, town: town.region,
        statements=(
            "{s} lies in {o}.",
            "{s} is a town in {o}.",
            "{s} belongs to the region of {o}.",
            "the region of {o} is proud of {a}.",
            "travellers to {o} often stop in {s}.",
        ),
        questions=("In which region is {s}?", "Which region does {s} belong to?"),
        replies=("{s} is in {o}.", "{s} belongs to the region of {o}."),
    ),
    Relation(
        name="river",
        read=lambda world, town: town.river,
        statements=(
            "{s} stands on the river {o}.",
            "the river {o} flows through {s}.",
            "{s} was built on the banks of the {o}.",
            "boats on the {o} call at {s}.",
            "{p} river is the {o}.",
        ),
        questions=("Which river flows through {s}?", "On which river does {s} stand?"),
        replies=("{s} stands on the {o}.", "the river {o} flows through {s}."),
    ),
    Relation(
        name="foundation",
        read=lambda world, town: str(town.year),
        statements=(
            "{s} was founded in {o}.",
            "the foundation of {s} dates from {o}.",
            "in {o} the first stone of {s} was laid.",
            "the history of {s} begins in {o}.",
            "{s} received its charter in {o}.",
        ),
        questions=("When was {s} founded?", "In what year was {s} founded?"),
        replies=("{s} was founded in {o}.",),
    ),
    Relation(
        name="product",
        read=lambda world, town: town.product,
        statements=(
            "{s} is known for its {o}.",
            "{p} workshops turn out fine {o}.",
            "{s} sells its {o} far and wide.",
            "merchants buy {o} in {s}.",
            "{p} craftsmen live by their {o}.",
        ),
        questions=("What is {s} known for?", "What do the workshops of {s} sell?"),
        replies=("{s} is known for its {o}.",),
    ),
    Relation(
        name="landmark",
        read=lambda world, town: town.landmark,
        statements=(
            "visitors come to {s} to see the {o}.",
            "the pride of {s} is its {o}.",
            "{p} most famous sight is the {o}.",
            "in the middle of {s} rises the {o}.",
            "{s} is famous for its {o}.",
        ),
        questions=("What is the most famous sight of {s}?", "What do visitors see in {s}?"),
        replies=("{p} most famous sight is the {o}.",),
    ),
)

COMPANY_RELATIONS: tuple[Relation[Company], ...] = (
    Relation(
        name="seat",
        read=lambda world, company: company.town.name,
        statements=(
            "{s} has its seat in {o}.",
            "{s} is a company in {o}.",
            "the offices of {s} are in {o}.",
            "{o} is the home of {s}.",
            "everyone in {o} knows {s}.",
        ),
        questions=("In which town is {s}?", "Where does {s} have its seat?"),
        replies=("{s} is in {o}.", "{s} has its seat in {o}."),
    ),
    Relation(
        name="company foundation",
        read=lambda world, company: str(company.year),
        statements=(
            "{s} was founded in {o}.",
            "{s} opened its doors in {o}.",
            "in {o}, {s} began to trade.",
            "the first account book of {s} is from {o}.",
            "the history of {s} goes back to {o}.",
        ),
        questions=("When was {s} founded?", "In what year did {s} open its doors?"),
        replies=("{s} was founded in {o}.",),
    ),
    Relation(
        name="goods",
        read=lambda world, company: company.product,
        statements=(
            "{s} makes {o}.",
            "{s} deals in {o}.",
            "every household buys the {o} of {s}.",
            "{s} made its name with {o}.",
            "orders for {o} go to {s}.",
        ),
        questions=("What does {s} make?", "What does {s} deal in?"),
        replies=("{s} makes {o}.", "{s} deals in {o}."),
    ),
    Relation(
        name="founder",
        read=lambda world, company: world.people[company.founder].name,
        statements=(
            "{s} was founded by {o}.",
            "the founder of {s} was {o}.",
            "it was {o} who founded {s}.",
            "{s} goes back to {o}.",
            "a portrait of {o} hangs in the hall of {s}.",
        ),
        questions=("Who founded {s}?", "Who was the founder of {s}?"),
        replies=("{s} was founded by {o}.",),
    ),
)

BOOK_RELATIONS: tuple[Relation[Book], ...] = (
    Relation(
        name="author",
        read=lambda world, book: world.people[book.author].name,
        statements=(
            "{s} was written by {o}.",
            "{o} is the author of {s}.",
            "{s} is a book by {o}.",
            "{o} worked on {s} for seven years.",
            "with {s}, {o} found many readers.",
        ),
        questions=("Who wrote {s}?", "Who is the author of {s}?"),
        replies=("{s} was written by {o}.",),
    ),
    Relation(
        name="publication",
        read=lambda world, book: str(book.year),
        statements=(
            "{s} appeared in {o}.",
            "{s} was printed in {o}.",
            "in {o} the first copies of {s} were sold.",
            "the first edition of {s} is from {o}.",
            "{s} reached the shops in {o}.",
        ),
        questions=("When did {s} appear?", "In what year was {s} printed?"),
        replies=("{s} appeared in {o}.",),
    ),
    Relation(
        name="subject",
        read=lambda world, book: book.subject,
        statements=(
            "{s} is about {o}.",
            "{s} tells of {o}.",
            "the subject of {s} is {o}.",
            "readers who care for {o} know {s}.",
            "{s} is a book on {o}.",
        ),
        questions=("What is {s} about?", "What is the subject of {s}?"),
        replies=("{s} is about {o}.",),
    ),
)
