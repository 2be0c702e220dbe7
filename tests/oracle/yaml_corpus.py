"""YAML that readers are known to take differently, and a generator of more, for yaml_test.py."""
import random

# Plain scalars. Each is read as a value, as a key, in flow style, in quotes and behind tags.
SCALARS = r"""
~ null Null NULL nULL true True TRUE tRUE yes Yes YES yEs on On ON oN y Y false False FALSE no No NO off Off OFF n N
0 00 07 08 09 010 0o10 0O17 0o8 0x 0x1F 0X1f 0xg 0b1 0B101 0b2 0b 0b-1 0b+1 -0b1 -0b-1 +0x10 -0x10 1_000 1__0 1_ _1 +_1 -_1
0x_1 0b_1 0_7 0_8 1 -1 +1 - + -- ++1 1- 12e 1e3 1E3 1e+3 1e-3 1e 1.e3 1. .5 .5e1 -.5 +.5 . .. .a .e1 ._5 .5_0 .5_ 1_0.5 1.5_0
1.0 1.50 -0 -0.0 0.0 1e21 1e22 123456.7 1234567.0 123456789.0 0.0001 0.00001 1e400 -1e400 1e-400 3.14159265358979323846
1e308 1.7976931348623157e308 4.9e-324 0x1p3 0.1e1 00.5 1.2.3 1,000 1:30 190:20:30 1:2.5 685230.15 6.8523015e+5 Infinity NaN inf
.inf .Inf .INF -.inf +.INF .nan .NaN .NAN .iNf 9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775808
-9223372036854775809 18446744073709551615 18446744073709551616 123456789012345678901234567890 -123456789012345678901
0xFFFFFFFFFFFFFFFF 0x10000000000000000 -0x8000000000000000 0777777777777777777777 01777777777777777777777
2001-01-01 2001-1-1 2001-13-01 2001-02-30 2001-01-01T10:00:00Z 2001-01-01t10:00:00.5+01:00 2001-01-01T10:00:00 20010101
<< = <<: a:b a::b :a a: ::: -a -1a ?a @a `a %a !a a#b a! a? a* a& a| a> a" a' a\b a/b a,b a[b a]b a{b a}b a-b a=b ~a null1
10.0.0.0/8 10.0.0.1 fd00::/8 ::1 1m 100Mi 0.5 1k v1.2 1.2.3-rc.1 sha256:abc http://x/y?z=1#f $(VAR) ${VAR} {{.x}} *.log &x
""".split()

# What stands behind "x:", the rest of the document.
VALUES = [
    # line ends and chomping
    *(f" {mark}{chomp}\n{body}" for mark in "|>" for chomp in ("", "-", "+", "2", "-2", "1+") for body in (
        "  a\n", "  a\n\n", "  a\n\n\n", "  a\n\n  b\n", "  a\n    b\n  c\n", "\n  a\n", "\n\n\n", "  a\n  \n  b\n", "    a\n  b\n",
        "  a", "  a\n\tb\n", "  \ta\n", "  # no comment\n", "  a\n# comment\n", "  a \n  b\t\n", "  - a\n  - b\n", "  a: |\n    b\n")),
    " |\n", " |+\n", " >", " |3\n   a\n", " |0\n  a\n", " |10\n  a\n", " | # comment\n  a\n", " |#\n  a\n", " | a\n  b\n",
    " >\n  a\n  b\n\n  c\n\n\n  d\n", " >\n  a\n   b\n  c\n", " >\n  a\n\n   b\n\n  c\n", " >-\n  a\n  b\n\n", " >+\n  a\n\n\n  b\n\n\n",
    # quoted
    " \"a\n  b\"", " \"a\n\n  b\"", " \"a\n\n\n  b\n\n\"", " \"a \\\n  b\"", " \"a\\\n\n  b\"", " \"\\  a\"", " \"a  \n  b\"", " ' a\n\n  b '",
    " 'it''s'", " ''", " \"\"", " '\n'", " \"\n\n\n\"", " \" \t\n\n\"", " ' \t\n\n'", " \"\\t\\n\\r\\0\\a\\b\\v\\f\\e\\ \\\"\\\\\"",
    r' "\_"', r' "\N\L\P"', r' "\x41\u00e9\U0001F600"', r' "\ud83d\ude00"', r' "\ud800"', r' "\U00110000"', r' "\/"', r''' "it\'s"''',
    r''' ["it\'s", 'b', "c\'\'d", "e"]''', r' "\q"', r' "\x4"', ' "a\\', " 'a", ' "a: b" # c', " 'a' b", ' "a"b', ' "\t"', ' "a\\\tb"',
    ' "\U0001F600\u00e9\u2028\u0085\u00a0\ufeff"', " '\u2028a'", " a\u0085b", " \u00a0a", " a\u2028  b", " \ufffd", " \U00010000",
    # plain, over lines
    " a\n  b", " a\n  b\n\n  c", " a\n b\n  c # d\n", " a # b", " a#b", " a\t#b", " a\tb", "\ta", " a\t", " a\n\tb", " a:\n  b", " a: b",
    " a :b", " a: ", " - a", " -", " -a\n  - b", " a\n  - b", " a\n  b: c",
    # sequences
    "\n- a\n- b", "\n  - a\n  - b", "\n - a\n  - b", "\n- a\n - b", "\n- - a\n  - b\n- c", "\n- a: b\n  c: d\n- e", "\n-\n- a\n-", "\n- # c\n  a",
    "\n-\ta", "\n- \ta", "\n-  a\n-   b", "\n- a\n\n\n- b\n", "\n- a\n# c\n- b", "\n  - a\n# c\n  - b", "\n- |\n a\n- b", "\n- >\n  a\n\n-  b",
    "\n- &a |\n  x\n- *a", "\n- !!str |\n  5\n- !t >\n  a", "\n- &a !!str\n  b\n- *a", "\n- !!seq [a]\n- !!map {a: b}", "\n- ? a\n  : b\n- ? c",
    # mappings
    "\n  a: b\n  c: d", "\n  a:\n    b:\n      c", "\n  a:\n  b:", "\n  a: b\n   c: d", "\n   a: b\n  c: d", "\n  a: 1\n  a: 2", "\n  \"a\": 1\n  a: 2",
    "\n  ? a\n  : b\n  ? c\n  : d", "\n  ? |\n    a\n  : b", "\n  ? [a]\n  : b", "\n  ? {a: b}\n  : c", "\n  ? - a\n  : b", "\n  ? a\n  ? b", "\n  ? a\n  c: d",
    "\n  : a", "\n  ? : a", "\n  'a': b\n  \"c\": d", "\n  a : b", "\n  a:b", "\n  a: - b", "\n  a: b: c", "\n  a b: c", "\n  a:\tb", "\n  a\t: b", "\n\ta: b",
    "\n  a: b\n\t\n  c: d", "\n  a: b #c\n  #d\n  e: f", "\n  a: [b\n  , c]", "\n  a: [b\nc]", "\n  a: {b: c,\n  d: e}", "\n  a: \"b\nc\"", "\n  a: b\nc",
    "\n  " + "k" * 1030 + ": v", "\n  \"" + "k" * 1100 + "\": v", "\n  ? " + "k" * 1100 + "\n  : v", " {" + "k" * 1100 + ": v}",
    # flow
    " []", " {}", " [a, b,]", " [a,, b]", " [,a]", " {a: 1, b: 2,}", " {a, b: 1}", " {a: , b:}", " {a:1}", " {a:b: c}", ' {"a":1}', ' {"a":b, c: d}',
    " [a: b, c]", " [a: b: c]", " [? a : b]", " {? a : b}", " {? a, ? b : c}", " [? a]", " {a: b?c}", " [a?]", " [?a]", " {?a: b}", " [a ?b]", " [a:]", " {a:}",
    " [a:, b]", " [::1]", " [a::b]", " [http://x:80/, b]", " [-1, - 1]", " [-]", " [- a]", " [a\n, b\n]", " [a # c\n, b]", " [a #c]", " [\"a\"b]", " [a [b]]",
    " [a]b", " [a] b", " {a: b} c", " [a", " a]", " {a: [b, {c: d}]}", " [[[[[]]]]]", " [{a: b}, {c: d}: e]", " {[a]: b}", " {a: b}: c", " [|a]", " [>a]",
    " [%a]", " [@a]", " ['a':b]", " {'a':b}", " [a\tb]", " [\ta]", "\n  [a,\n  b]\n", " {a: !!str 5, b: !!int '7'}", " [!!str , a]", " [!!str, a]", " {!!str : a}",
    " [!!str]", " [&a , *a]", " [&a, *a]", " [&a b, *a , c]", " {a: &b c, *b : d}", " {*a: b}",
    # anchors, aliases, merges
    "\n  a: &a b\n  c: *a", "\n  a: &a [b]\n  c: *a", "\n  a: *a\n  b: &a c", "\n  a: &a [*a]", "\n  a: &a\n  b: *a", "\n  &a a: b\n  c: *a", "\n  a: &x 1\n  b: &x 2\n  c: *x",
    "\n  a: &a {b: 1}\n  c: {<<: *a, b: 2}", "\n  a: &a {b: 1}\n  c: {b: 2, <<: *a}", "\n  a: &a {b: 1}\n  c: {b: 2, <<: *a, d: 3}", "\n  <<: {a: 1}\n  a: 2", "\n  a: 2\n  <<: {a: 1}",
    "\n  <<: [{a: 1}, {a: 2, b: 2}]", "\n  <<: [{a: 1}, 2]", "\n  <<: 1", "\n  <<: null", "\n  <<: []", "\n  <<:", "\n  '<<': 1", "\n  ! <<: {a: 1}", "\n  !!merge <<: {a: 1}", "\n  !!str <<: {a: 1}",
    "\n  a: &a [{b: 1}]\n  c: {<<: *a}", "\n  a: &a {b: 1}\n  c: &c {<<: *a, d: 2}\n  e: {<<: [*c, *a], f: 3}", "\n  <<: {a: 1}\n  <<: {a: 2}", "\n  a: &a <<\n  *a : {b: 1}",
    "\n  a: &a-b_1 c\n  d: *a-b_1", "\n  a: &a.b c", "\n  a: & b", "\n  a: *", "\n  a: &a &b c", "\n  a: &a *b", "\n  1: a\n  \"1\": a",
    # tags
    " !!binary aGk=", " !!binary |\n  aGk=\n  \n", " !!binary aGk", " !!binary a=b=", " !!binary ''", " !!binary /w==", " !!binary aGl=", " !!binary [a]", " !!str 5", " !!str", " !!str ~",
    " !!int '5'", " !!int 5.5", " !!int a", " !!int", " !!float 5", " !!float .5", " !!float a", " !!float 18446744073709551615", " !!float 0x10", " !!bool yes", " !!bool 'yes'", " !!bool a",
    " !!null ''", " !!null ~", " !!null a", " !!timestamp 2001-01-01", " !!timestamp '2001-12-14t21:59:43.10-05:00'", " !!timestamp 2001-12-14 21:59:43.1", " !!timestamp 2001-02-29", " !!timestamp 2004-02-29", " !!timestamp 2001-1-1T1:2:3Z",
    " !!timestamp a", " !!timestamp 2001-12-14 21:59:43.10 -5", " !!seq [a]", " !!map [a]", " !!seq a", " !!set {a, b}", " !!omap [a: b]", " !own a", " !own 5", " !own {a: 5}", " ! 5", " ! '5'", " ! ''", " !<tag:yaml.org,2002:int> '5'",
    " !<!own> 5", " !<a", " !e!a b", " !a%41 5", " !a%zz 5", " !!str &a 5", " &a !!str 5", " !!str !!int 5", " !!str # c\n  5", " !!str\n  - a", " !!str{a: b}", " !a,b 5", " !a[b 5", " [!a,b 5]",
    # comments, blanks, control characters
    "# c", " # c\n  a", " #\n", "\n\n\n  a\n\n\n", "   \n  \n a", " a\r\n", "\r\n  a: b\r\n  c: d\r\n", " a\rb: c", " \"a\r\n  b\"", " |\r\n  a\r\n  b\r\n", " a\x01b", " \"a\x7fb\"", " a\x00b", " \"\x1b\"",
]

H = "apiVersion: v1\nkind: Probe\nmetadata: {name: "
# Whole files; @ stands for the head of an object up to its name's "}".
STREAMS = [
    "@}\n", "---\n@}\n", "---\n---\n@}\n", "@}\n---\n", "@}\n---\n---\n@}\n", "@}\n--- # c\n@}\n", "@}\n---   \n@}\n", "@}\n---\t\n@}\n", "@}\n--- @}\n", "@}\n---x\n@}\n", "@}\n----\n@}\n",
    "@}\n...\n@}\n", "@}\n...\n---\n@}\n", "@}\n... # c\nx: [\n", "@}\nx: |\n  a\n---\n@}\n", "@}\nx: |\n  ---\n  b\n", "@}\nx: \"a\n---\nb\"\n", "@}\r\n---\r\n@}\r\n", "@}\n---",
    "\ufeff@}\n", "\ufeff---\n@}\n", "@}\n---\n\ufeff@}\n", "@}\n\ufeff---\n@}\n", "\ufeff\ufeff@}\n", "\ufeff# c\n@}\n", "@}\n---\n# c\n\ufeff@}\n", "@}\n---\n# c\n---\n@}\n",
    "%YAML 1.1\n---\n@}\n", "%YAML 1.1\n--- \n@}\n", "# c\n@}\n", "\n\n@}\n", " \n@}\n", "@}\nx: &a 1\n---\n@}\nx: *a\n", "@}\nx: 1\nx: 2\n", "@}\n x: 1\n", "@}\nx: [\n---\n@}\n",
    "@, labels: {a: b, <<: {c: d}}}\n", "@}\n'x': 1\n\"y\": 2\n? z\n: 3\n", "@}\nx: a\n\n\n\ny:   b\n", "@}\nx:\n- a\ny:\n  - b\n", "@}\n!!str x: !!str 1\n", "@}\n&a x: 1\ny: *a\n",
]
J = '{"apiVersion": "v1", "kind": "Probe", "metadata": {"name": "'
# The same of JSON; @ ends in the name's quote and brace.
JSON_STREAMS = [
    "@}", " \n\t@}\n", "@}@}", "@}\n@}\n@}", "@}\n---\n@}", "@}\n@}\n---\n@}", "@}\n---\nx", "@,\n\"x\": 1}", "@, x: 1}", "@, \"x\": 'a'}", "@, \"x\": 1,}", "@, # c\n\"x\": 1}",
    *('@, "x": ' + value + "}" for value in (
        "null", "true", "1", "-0", "-0.0", "1.0", "1e3", "1E-3", "1e400", "0x10", "01", ".5", "1.", "+1", "9223372036854775807", "9223372036854775808", "123456789012345678901234567890", "yes",
        r'"\ud800"', r'"\udc00"', r'"\ud83d\ude00"', r'"\ud800\u0041"', r'"\ud800\ud800\udc00"', r'"\\ud800"', r'"\\\ud800"', r'"\uD83D\uDE00\uDE00"', r'"\/"', r'"\_"', r'"\u0000"', '"\x7f"', '"\u2028\ufeff"',
        '"a\tb"', '"a\nb"', '{"a": 1, "a": 2}', "[]", "[1,]", "{}", "[[[[1]]]]", '"<<"', '{"<<": {"a": 1}}', "~", "'a'")),
]


class Maker:
    """Random documents: what a person may write, and now and then what one should not."""

    WORDS = [*SCALARS, "a b", "a b  c", "app", "web:1", "it's", "say \"hi\"", "a\u00e9", "\U0001F600", "x: y", "- x", "# x", "a #b", " a", "a ", "tab\there"]

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.anchors = []

    def properties(self):
        out = ""
        if self.random.random() < 0.1:
            self.anchors.append(f"a{len(self.anchors)}")
            out += f"&{self.anchors[-1]} "
        if self.random.random() < 0.06:
            out += self.random.choice(["!!str ", "!own ", "! ", "!!int ", "!!float ", "!!bool ", "!!binary ", "!!map ", "!!seq "])
        return out

    def word(self):
        return self.random.choice(self.WORDS)

    def double(self, indent):
        pieces = [r"\n", r"\t", r"\_", r"\N", r"\x41", r"\u00e9", r"\\", r"\"", r"\'", "\\\n" + indent, "\n" + indent, "\n\n" + indent, " ", "  ", "a", "b:", "#c", "\u00e9", "'"]
        return '"' + "".join(self.random.choice(pieces) for _ in range(self.random.randint(0, 6))) + '"'

    def single(self, indent):
        pieces = ["''", "\n" + indent, "\n\n" + indent, " ", "\t", "a", "b:", "#c", "\\n", '"']
        return "'" + "".join(self.random.choice(pieces) for _ in range(self.random.randint(0, 6))) + "'"

    def block(self, indent):
        head = self.random.choice("|>") + self.random.choice(["", "", "-", "+"])
        lines = []
        for _ in range(self.random.randint(0, 5)):
            lines.append(self.random.choice(["", "", indent + self.word(), indent + "  " + self.word(), indent + "a ", indent + "\tb", indent]))
        return head + "\n" + "\n".join(lines) + self.random.choice(["", "\n", "\n\n"])

    def key(self, indent):
        # Of two keys that become one text (1, 1.0) Go's maps keep either, so those are left out.
        word = self.scalar(indent).replace("\n", " ").replace(" # c", "")
        return "k" if word[0] in "+-.0123456789" and word not in ("0x10", "1.50", "1e3", "07") else word

    def scalar(self, indent):
        kind = self.random.random()
        if kind < 0.55:
            return self.word()
        if kind < 0.7:
            return self.double(indent)
        if kind < 0.8:
            return self.single(indent)
        if kind < 0.85 and self.anchors:
            return "*" + self.random.choice(self.anchors) + " "
        return self.word() + self.random.choice(["", "\n" + indent + self.word(), " # c"])

    def flow(self, depth):
        if depth > 3 or self.random.random() < 0.4:
            return self.properties() + self.scalar("      ").replace(" # c", "")
        blank = self.random.choice(["", " ", " "])
        if self.random.random() < 0.5:
            return self.properties() + "[" + ("," + blank).join(self.flow(depth + 1) for _ in range(self.random.randint(0, 3))) + "]"
        pairs = (f"{self.random.choice(['', '', '? '])}{self.key('      ')}:{self.random.choice([' ', ' ', ''])}{self.flow(depth + 1)}" for _ in range(self.random.randint(0, 3)))
        return self.properties() + "{" + ("," + blank).join(pairs) + "}"

    def node(self, indent, depth):
        """What stands behind a key or a dash, its lines' ends included."""
        kind = self.random.random()
        if depth > 4 or kind < 0.4:
            return " " + self.properties() + self.scalar(indent + "  ") + "\n"
        if kind < 0.55:
            return " " + self.properties() + self.block(indent + "  ") + "\n"
        if kind < 0.7:
            return " " + self.properties() + self.flow(0) + "\n"
        comment = self.random.choice(["", "", "", f"{indent}  # c\n", "\n"])
        head = " " + self.properties() + "\n" + comment
        if kind < 0.85:
            return head + self.sequence(self.random.choice([indent, indent + "  "]), depth + 1)
        return head + self.mapping(indent + "  ", depth + 1)

    def sequence(self, indent, depth):
        return "".join(f"{indent}-{self.node(indent, depth)}" for _ in range(self.random.randint(1, 4)))

    def mapping(self, indent, depth):
        out = ""
        for i in range(self.random.randint(1, 4)):
            key = f"k{i}" if self.random.random() < 0.6 else self.key(indent)
            if self.random.random() < 0.05 and self.anchors:
                out += f"{indent}<<: *{self.random.choice(self.anchors)}\n"
            out += f"{indent}{key}:{self.node(indent, depth)}"
        return out

    def value(self):
        return self.node("", 0)

    def spoilt(self, text):
        """With a character more, or less, or another one."""
        at = self.random.randrange(len(text) + 1)
        characters = "\n \t:-?[]{},#&*!|>'\"%@`ab1~.\\\u00e9"
        return text[:at] + self.random.choice(["", self.random.choice(characters)]) + text[at + self.random.randint(0, 1):]
