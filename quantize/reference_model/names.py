"""Pools of invented names and plain English words that the synthetic world is made of.

Names are composed from syllables so that nothing resembles a real person or place; the composed
lists are functions of the random generator that is passed in, and therefore of the world's seed.
"""

from random import Random

from quantize.reference_model.word_lists import phrases, words

ONSETS = words("B Br C D Dr F Fl G Gr H J K L M N P R S St T Th V W Y Z")
MIDDLES = words("a e i o u ae ei ia or an el im ar en il ol un ad av ed is os")
FEMALE_ENDINGS = words("ra la na sa lyn dith wen ris mi ya sha nelle ta via")
MALE_ENDINGS = words("rik dan mon gar lo vin bert ric ton ver mas dor nus rek")

SURNAME_HEADS = words(
    "Ash Birch Black Bram Bright Brook Cald Clay Cold Copper Crow Dun Elder Ever Fair Fal Fen "
    "Fern Gold Grey Hal Hart Haw Hazel High Holl Iron Kel Lang Lark Mar Mill Moss Nor Oak Orm "
    "Pen Quill Raven Red Rook Rush Sand Silver Sorrel Stone Storm Thorn Under Wan Whit Wil "
    "Winter Wool Wyn Yar"
)
SURNAME_TAILS = words(
    "bane bell borne bury dale den field ford gate grave hollow hurst ley lock man mere more "
    "ridge shaw stead ton wain ward water well wick wind wood worth yard"
)

TOWN_HEADS = words(
    "Ab Bal Bren Cor Dal Dov Esk Far Gal Glen Hes Il Jor Kar Kess Lin Lor Mal Mer Nes Ol Os Pel "
    "Por Quar Ros Sel Sk Tal Tor Ul Val Ver Wes Zan"
)
TOWN_TAILS = words(
    "aby anth arrow avik ebridge ector edge egard elin embra enna eport essa ever idor igan illa "
    "imouth intha ira istow olis omar ondo orra oven umber unna ura"
)
REGION_TAILS = words("aria andia ovia esse inth uria emark onia")
RIVER_TAILS = words("a e ow een is ay em ord")

PROFESSIONS = words(
    "apothecary archer architect astronomer baker barber beekeeper blacksmith boatbuilder "
    "bookbinder botanist brewer bricklayer butcher candlemaker carpenter cartographer chemist "
    "clerk clockmaker cobbler composer cook cooper dancer dentist doctor drummer dyer engineer "
    "engraver falconer farmer ferryman fisher florist gardener geologist glassblower glover "
    "goldsmith grocer historian hunter innkeeper jeweller joiner judge lawyer librarian "
    "locksmith mason merchant midwife miller miner musician navigator nurse painter papermaker "
    "pilot plumber poet potter printer roofer sailor sculptor shepherd surgeon surveyor tailor "
    "tanner teacher translator weaver"
)
COLOURS = words(
    "amber azure beige black blue bronze brown copper cream crimson emerald gold green grey "
    "indigo ivory lavender lilac maroon olive orange pink purple red scarlet silver turquoise "
    "violet white yellow"
)
PETS = words(
    "badger beetle budgie canary cat cockatoo crab crow dog donkey dove duck falcon ferret finch "
    "fox frog gecko goat goose hamster hare hedgehog heron jackdaw kestrel lamb lizard magpie "
    "mouse newt otter owl parrot peacock pigeon pony rabbit raven robin snail spaniel squirrel "
    "stork swan tortoise turtle weasel"
)
INSTRUMENTS = words(
    "accordion bagpipe banjo bassoon bugle cello clarinet cornet cymbal drum dulcimer fiddle "
    "flute gong guitar harmonica harp horn lute lyre mandolin oboe organ piano recorder "
    "saxophone tambourine trombone trumpet tuba viola violin whistle xylophone zither"
)
DISHES = phrases(
    "apple pie|barley soup|bean stew|beetroot salad|black pudding|bread pudding|buttered crab|"
    "cabbage rolls|carrot cake|cheese dumplings|cherry tart|chestnut soup|clam chowder|"
    "cold trout|corn fritters|duck pie|egg noodles|fig cake|fish soup|fried eel|garlic mussels|"
    "ginger biscuits|goose stew|grilled sardines|honey bread|lamb stew|leek pie|lemon tart|"
    "lentil soup|mushroom pie|mutton pie|nettle soup|oat porridge|onion tart|oyster pie|pancakes|"
    "pea soup|pear crumble|pickled herring|plum cake|potato dumplings|pumpkin soup|rabbit stew|"
    "rice pudding|roast chicken|rye bread|salted cod|smoked salmon|spinach pie|turnip mash|"
    "veal pie|walnut cake"
)
PRODUCTS = words(
    "anchors barrels baskets bells bicycles boots bricks brooms buttons candles carpets carts "
    "chairs cheese cider clocks coats compasses cushions flour furniture glass gloves hats honey "
    "ink kettles kites knives lace lamps lanterns linen locks maps mirrors mustard nails nets "
    "oars paint paper pianos pipes pottery ropes saddles sails salt scissors silk soap "
    "spectacles stoves sugar tea tiles toys umbrellas vinegar whistles wine"
)
COMPANY_KINDS = words(
    "Brothers Company Foundry Guild Holdings House Mills Partners Sisters Stores Supply Traders "
    "Trust Works Workshop Yard"
)
LANDMARKS = phrases(
    "aqueduct|botanical garden|cathedral|citadel|clock tower|concert hall|covered market|"
    "drawbridge|fountain|granary|harbour wall|lighthouse|monastery|museum|observatory|old mill|"
    "opera house|public library|stone bridge|sundial|theatre|town hall|watchtower|windmill"
)
BOOK_ADJECTIVES = words(
    "Broken Burning Crooked Crystal Distant Drowned Empty Forgotten Frozen Gilded Hidden Hollow "
    "Invisible Last Little Lonely Lost Midnight Painted Patient Quiet Restless Scarlet Second "
    "Secret Seventh Silent Sleeping Stolen Wandering"
)
BOOK_NOUNS = words(
    "Bridge Candle Castle Clock Crown Door Feather Forest Garden Harbour House Island Key Lamp "
    "Ladder Letter Map Mirror Moon Mountain Orchard River Road Ship Shore Song Star Tower Voyage "
    "Winter"
)
BOOK_SUBJECTS = phrases(
    "bees|bridges|clouds|comets|cooking|deserts|dragons|family life|friendship|glaciers|islands|"
    "justice|lighthouses|lost cities|love|magic|medicine|mountains|music|old maps|orphans|"
    "pirates|railways|revenge|river trade|shipwrecks|spies|the sea|volcanoes|war|weather|"
    "winter journeys"
)


def distinct(rng: Random, count: int, *parts: list[str]) -> list[str]:
    """`count` different concatenations of one element of each part, in a random order."""
    found: dict[str, None] = {}
    while len(found) < count:
        word = "".join(rng.choice(part) for part in parts)
        found[word.capitalize()] = None
    return list(found)


def article(noun: str) -> str:
    """The noun with its indefinite article; no pool word starts with a silent h or a spoken u."""
    return f"an {noun}" if noun[0] in "aeio" or noun.startswith("umb") else f"a {noun}"
