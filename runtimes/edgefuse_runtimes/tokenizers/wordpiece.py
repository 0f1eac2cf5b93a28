"""WordPiece, the tokenizer of BERT: texts are cleaned and cut into words, words into the longest known pieces.

Reference: the library `tokenizers` (BertNormalizer, BertPreTokenizer, WordPiece), whose classes of characters are in
`tokenizers_table.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers.merging import remember
from edgefuse_runtimes.tokenizers.normalize import lower_case, normal_form, one_of, well_formed
from edgefuse_runtimes.tokenizers.tokenizer_json import AGAIN, read_full_frame, read_ids, says
from edgefuse_runtimes.tokenizers.tokenizers_table import ACCENTS, CONTROLS, PUNCTUATION
from edgefuse_runtimes.tokenizers.unicode_table import SPACES, hexadecimal

# CJK ideographs as `tokenizers` lists them; BERT's own code also has 2B820 to 2B91F.
_IDEOGRAPHS = one_of(
    hexadecimal("3400 4DC0 4E00 A000 F900 FB00 20000 2A6E0 2A700 2B820 2B920 2CEB0 2F800 2FA20"),
)
_ACCENTS, _CONTROLS, _PUNCTUATION, _SPACES = map(one_of, (ACCENTS, CONTROLS, PUNCTUATION, SPACES))


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
        if self._cleans:
            text = _SPACES.sub(" ", _CONTROLS.sub("", text))
        if self._parts_ideographs:
            text = _IDEOGRAPHS.sub(r" \1 ", text)
        if self._strips_accents:
            text = _ACCENTS.sub("", normal_form("NFD", text))
        if self._lowers:
            text = lower_case(text)
        return _PUNCTUATION.sub(r" \1 ", _SPACES.sub(" ", text))

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
