"""What the tokenizer's vocabulary begins with, and how large it is."""

from quantize.reference_model.questions import ASSISTANT, END, SYSTEM, USER

VOCABULARY = 4096
UNKNOWN, BOS, EOS, PAD = "<unk>", "<s>", "</s>", "<pad>"
CHAT_TOKENS = (SYSTEM, USER, ASSISTANT, END)
CONTROL_TOKENS = (UNKNOWN, BOS, EOS, PAD, *CHAT_TOKENS)  # ids 0 to 7
