"""What the rules for DDL share: edits that keep comments."""

from nexusql.sql.tokens import Token, Tokens


def code(tokens: Tokens, start: int, end: int) -> list[Token]:
    """The tokens between two positions without comments; every run of blanks and comments becomes one blank."""
    kept: list[Token] = []
    for token in tokens[start:end]:
        if token.kind not in " -":
            kept.append(token)
        elif kept and kept[-1].kind != " ":
            kept.append(Token(" ", " "))
    if kept and kept[-1].kind == " ":
        kept.pop()
    return kept


class Edits:
    """Edits of tokens by position, collected while positions hold and made in one go.

    An edit inside the bounds of a larger one is left out.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._edits: list[tuple[int, int, list[Token]]] = []

    def insert(self, at: int, *pieces: str | Token) -> None:
        """Put pieces before what stands at a position; those put there earlier come first."""
        made = [piece if isinstance(piece, Token) else Token("o", piece) for piece in pieces]
        self._edits.append((at, at, made))

    def swap(self, start: int, end: int, *pieces: str | Token) -> None:
        """Put pieces in the place of what stands between two positions; comments there stay, behind them."""
        made = [piece if isinstance(piece, Token) else Token("o", piece) for piece in pieces]
        self._edits.append((start, end, made + self._comments(start, end)))

    def drop(self, start: int, end: int) -> None:
        """Take out what stands between two positions, and the blank before it; comments stay."""
        tokens = self._tokens
        if start > 0 and tokens[start - 1].kind == " " and not self._line_comment(start - 2):
            start -= 1
        self._edits.append((start, end, self._comments(start, end)))

    def freeze(self, start: int, end: int) -> None:
        """Keep words between two positions as they are: no later rule finds them."""
        for token in self._tokens[start:end]:
            if token.kind == "w":
                token.kind = "o"

    def apply(self) -> None:
        """Make all edits."""
        done: list[Token] = []
        position = 0
        for start, end, pieces in sorted(self._edits, key=lambda edit: (edit[0], edit[1] > edit[0], -edit[1])):
            if start < position:
                continue
            done += self._tokens[position:start]
            done += pieces
            position = end
        done += self._tokens[position:]
        self._tokens[:] = done
        self._edits.clear()

    def _line_comment(self, i: int) -> bool:
        return i >= 0 and self._tokens[i].kind == "-" and not self._tokens[i].text.startswith("/*")

    def _comments(self, start: int, end: int) -> list[Token]:
        """The comments between two positions, each line comment with the line end that closes it."""
        kept: list[Token] = []
        for i in range(start, min(end, len(self._tokens))):
            token = self._tokens[i]
            if token.kind == "-":
                kept += [Token(" ", " "), token]
            elif token.kind == " " and self._line_comment(i - 1):
                kept.append(token)
        return kept
