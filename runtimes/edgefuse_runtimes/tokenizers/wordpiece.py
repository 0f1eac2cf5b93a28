"""WordPiece, the tokenizer of BERT: texts are cleaned and cut into words, words into the longest known pieces.

Reference: the library `tokenizers` (BertNormalizer, BertPreTokenizer, WordPiece), whose classes of characters are in
`tokenizers_table.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers.merging import remember
from edgefuse_runtimes.tokenizers.normalize import lower_case, normal_form, replace_each, well_formed
from edgefuse_runtimes.tokenizers.tokenizer_json import AGAIN, read_full_frame, read_ids, says
from edgefuse_runtimes.tokenizers.tokenizers_table import ACCENTS, CONTROLS, PUNCTUATION
from edgefuse_runtimes.tokenizers.unicode_table import SPACES, within

# CJK ideographs as `tokenizers` lists them; BERT's own code also has 2B820 to 2B91F.
_IDEOGRAPHS = (
    0x3400, 0x4DC0, 0x4E00, 0xA000, 0xF900, 0xFB00, 0x20000, 0x2A6E0, 0x2A700, 0x2B820, 0x2B920, 0x2CEB0, 0x2F800,
    0x2FA20,
)  # fmt: skip


class WordPiece:
    """Tokenizer of a tokenizer.json whose model is "WordPiece"."""

    add_bos = True

    def __init__(self, data: Mapping[str, Any], source: str) -> None:
        """Read the vocabulary and the rules of the file `source`.

        Raises:
            BadInput: a rule is unknown, or an entry is missing or damaged.
        """
        model, normalizer = data["model"], data.get("normalizer")
        if not says(normalizer, {"type": "BertNormalizer"}) or not says(
            data.get("pre_tokenizer"), {"type": "BertPreTokenizer"}
        ):
            raise BadInput(
                f"{source} does not clean and cut texts as BERT does (normalizer, pre_tokenizer); "
                "use an encoder that does."
            )
        assert isinstance(normalizer, dict)
        self._cleans = normalizer.get("clean_text", True) is True
        self._parts_ideographs = normalizer.get("handle_chinese_chars", True) is True
        self._lowers = normalizer.get("lowercase", True) is True
        strips = normalizer.get("strip_accents")
        self._strips_accents = self._lowers if strips is None else strips is True
        vocabulary, special = read_ids(data, source)
        self.bos_id, self.eos_id = read_full_frame(data, source)
        self.size = 1 + max(vocabulary.values())
        self._ids = {token: token_id for token, token_id in vocabulary.items() if token_id not in special}
        unknown = vocabulary.get(str(model.get("unk_token")))
        self._prefix = model.get("continuing_subword_prefix", "##")
        self._longest_word = model.get("max_input_chars_per_word", 100)
        if unknown is None or type(self._prefix) is not str or type(self._longest_word) is not int:
            raise BadInput(f"{source} has a damaged WordPiece model (unknown token, prefix or word length); {AGAIN}.")
        self._unknown: int = unknown
        self._longest_token = max(map(len, self._ids), default=0)
        self._word_ids = remember(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; no special token is added or recognised."""
        ids: list[int] = []
        for word in self._spaced(well_formed(text)).split(" "):
            if word:
                ids += self._word_ids(word)
        return ids

    def _spaced(self, text: str) -> str:
        """`text` cleaned, with blanks around every word."""
        text = replace_each(text, self._clean)
        if self._strips_accents:
            text = normal_form("NFD", text)
        return replace_each(text, self._part)

    def _clean(self, letter: str) -> str:
        code = ord(letter)
        if self._cleans:
            if within(CONTROLS, code):
                return ""
            if within(SPACES, code):
                return " "
        return f" {letter} " if self._parts_ideographs and within(_IDEOGRAPHS, code) else letter

    def _part(self, letter: str) -> str:
        if self._strips_accents and within(ACCENTS, ord(letter)):
            return ""
        return "".join(map(_part_word, lower_case(letter) if self._lowers else letter))

    def _pieces(self, word: str) -> list[int]:
        """The longest token that begins the word, then the longest that goes on, ...; no token: one unknown word."""
        if len(word) > self._longest_word:
            return [self._unknown]
        ids: list[int] = []
        start = 0
        while start < len(word):
            prefix = self._prefix if start else ""
            for end in range(min(len(word), start + self._longest_token), start, -1):
                token_id = self._ids.get(prefix + word[start:end])
                if token_id is not None:
                    break
            else:
                return [self._unknown]
            ids.append(token_id)
            start = end
        return ids


def _part_word(letter: str) -> str:
    if within(SPACES, ord(letter)):
        return " "
    return f" {letter} " if within(PUNCTUATION, ord(letter)) else letter
