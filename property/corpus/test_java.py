"""Laws of Java extraction: the triples of small files are those that a reader finds by hand, and nothing is invented."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus import folders, graph, ontology, triples
from corpus.java import declarations
from corpus.java.extraction import Found, Place, results

SHAPES = """
package shop.shapes;

import java.io.*;
import java.util.List;
import shop.tools.Named;
import static shop.tools.Tools.twice;

public abstract class Shape implements Named, Comparable<Shape> {
    protected int sides = 3;
    static Shape last;
    List<Shape> others;

    Shape(int sides) { this.sides = sides; last = this; }
    protected Shape() { this(4); }

    public abstract double area() throws ShapeException;

    @Override
    public String name() { return describe(this.sides); }

    String describe(int sides) { return "shape " + sides; }
    String describe(String text) { return text.trim(); }

    public int compareTo(Shape other) {
        for (Shape each : others) { each.name(); }
        return twice(other.sides);
    }

    static class ShapeException extends IOException {
        ShapeException(String text) { super(text); }
    }
}

class Square extends Shape {
    double width;
    public double area() throws ShapeException {
        if (width < 0) throw new ShapeException("negative");
        try { super.name(); } catch (IllegalStateException | ShapeException e) { e.printStackTrace(); }
        return width * width;
    }
    public String name() { Square one = new Square(); return one.describe("x") + last.name(); }
}
"""

TOOLS = """
package shop.tools;

/** Helpers. */
public final class Tools {
    enum Kind { SMALL, LARGE; Kind other() { return this == SMALL ? LARGE : SMALL; } }
    public static int twice(int n) { return n + n; }
    public static long twice(long n) { return twice((int) n); }
    <T extends Named> String of(T named, Unknown other) {
        other.call();
        Runnable later = () -> named.name();
        new Thread(later).start();
        Object all = new Named() { public String name() { return helper(); } };
        return String.valueOf(Tools.twice(1)) + all.toString().trim();
    }
    private static String helper() { return ""; }
    void overloaded(Object value) {}
    void overloaded(Named value) {}
    void overloaded(Tools value) {}
    void choose(Unknown value) { overloaded(value); overloaded(this); helper(1); }
}

interface Named { String name(); }
@interface Marked { int value() default 1; }
"""

TESTS = """
package shop.shapes;
import org.junit.jupiter.api.Test;
class SquareTest {
    @Test void area() throws Exception { Square s = new Square(); s.area(); helper(); }
    static void helper() {}
}
"""

FILES = [
    (Place("shop", "1.0", "src/main/Shape.java", "MIT"), SHAPES.encode(), False),
    (Place("shop", "1.0", "src/main/Tools.java", "MIT"), TOOLS.encode(), False),
    (Place("shop", "1.0", "src/test/SquareTest.java", "MIT"), TESTS.encode(), True),
]


@pytest.fixture(scope="module")
def shop() -> Found:
    """All files of the shop as one."""
    whole = Found()
    for _, found in results(FILES):
        assert isinstance(found, Found)
        whole.triples += found.triples
        whole.entities += found.entities
        whole.outside |= found.outside
        whole.sites += found.sites
        whole.unresolved += found.unresolved
    return whole


def of(shop: Found, relation: str, prefix: str = "") -> set[tuple[str, str]]:
    return {(one.head, one.tail) for one in shop.triples if one.relation == relation and one.head.startswith(prefix)}


S, T = "shop.shapes.", "shop.tools."


def test_types_come_from_their_definitions(shop: Found) -> None:
    types = {one.name: one.type for one in shop.entities}
    assert types == {
        "file:shop/src/main/Shape.java": "File",
        "file:shop/src/main/Tools.java": "File",
        "file:shop/src/test/SquareTest.java": "File",
        "shop.shapes": "Module",
        "shop.tools": "Module",
        S + "Shape": "Class",
        S + "Square": "Class",
        S + "SquareTest": "Class",
        S + "Shape.ShapeException": "ExceptionType",
        T + "Tools": "Class",
        T + "Tools.Kind": "Class",
        T + "Named": "Interface",
        T + "Marked": "Annotation",
        S + "SquareTest.area()": "Test",
        **dict.fromkeys((S + "Shape.sides", S + "Shape.last", S + "Shape.others", S + "Square.width"), "Variable"),
        **dict.fromkeys((T + "Tools.Kind.SMALL", T + "Tools.Kind.LARGE"), "Variable"),
        **dict.fromkeys(
            (
                *(S + "Shape.<init>(int)", S + "Shape.<init>()", S + "Shape.area()", S + "Shape.name()"),
                *(S + "Shape.describe(int)", S + "Shape.describe(String)", S + "Shape.compareTo(Shape)"),
                *(S + "Shape.ShapeException.<init>(String)", S + "Square.area()", S + "Square.name()"),
                *(S + "SquareTest.helper()", T + "Tools.twice(int)", T + "Tools.twice(long)", T + "Tools.helper()"),
                *(T + "Tools.of(T,Unknown)", T + "Tools.overloaded(Object)", T + "Tools.overloaded(Named)"),
                *(T + "Tools.overloaded(Tools)", T + "Tools.choose(Unknown)", T + "Tools.Kind.other()"),
                *(T + "Named.name()", T + "Marked.value()"),
            ),
            "Method",
        ),
    }


def test_structure(shop: Found) -> None:
    assert of(shop, "contains") == {
        *(
            ("repo:shop", f"file:shop/src/{file}")
            for file in ("main/Shape.java", "main/Tools.java", "test/SquareTest.java")
        ),
        *(("repo:shop", "shop.shapes"), ("repo:shop", "shop.tools")),
        *(("file:shop/src/main/Shape.java", S + name) for name in ("Shape", "Square")),
        *(("file:shop/src/main/Tools.java", T + name) for name in ("Tools", "Named", "Marked")),
        ("file:shop/src/test/SquareTest.java", S + "SquareTest"),
    }
    assert of(shop, "defined_in") == {(tail, head) for head, tail in of(shop, "defines")}
    assert (S + "Shape", S + "Shape.ShapeException") in of(shop, "defines")
    assert of(shop, "declares") == {
        *((S + "Shape", S + f"Shape.{name}") for name in ("sides", "last", "others", "area()")),
        (S + "Square", S + "Square.width"),
        *((T + "Tools.Kind", T + f"Tools.Kind.{name}") for name in ("SMALL", "LARGE")),
        *((T + "Named", T + "Named.name()"), (T + "Marked", T + "Marked.value()")),
    }


def test_types_and_their_parents(shop: Found) -> None:
    assert of(shop, "implements") == {(S + "Shape", T + "Named")}
    assert of(shop, "inherits_from") == {
        (S + "Shape", "java.lang.Comparable"),
        (S + "Square", S + "Shape"),
        (S + "Shape.ShapeException", "java.io.IOException"),
    }
    assert of(shop, "overrides") == {
        (S + "Shape.name()", T + "Named.name()"),
        (S + "Square.name()", S + "Shape.name()"),
        (S + "Square.area()", S + "Shape.area()"),
    }
    assert of(shop, "returns", S + "Shape.") == {
        (S + "Shape.area()", "double"),
        (S + "Shape.name()", "java.lang.String"),
        (S + "Shape.describe(int)", "java.lang.String"),
        (S + "Shape.describe(String)", "java.lang.String"),
        (S + "Shape.compareTo(Shape)", "int"),
    }
    assert of(shop, "annotated_with") == {
        (S + "Shape.name()", "java.lang.Override"),
        (S + "SquareTest.area()", "org.junit.jupiter.api.Test"),
    }


def test_imports_of_a_package(shop: Found) -> None:
    assert of(shop, "imports") == {
        ("shop.shapes", tail)
        for tail in (
            *("java.io", "java.util", "java.util.List", "shop.tools.Named", "shop.tools.Tools"),
            *("shop.tools.Tools.twice(int)", "shop.tools.Tools.twice(long)"),
            *("org.junit.jupiter.api", "org.junit.jupiter.api.Test"),
        )
    }
    assert shop.outside["java.io"] == "Library"
    assert shop.outside["java.util.List"] == "API"


def test_calls_by_declared_receivers_and_arguments(shop: Found) -> None:
    assert of(shop, "calls", S) == {
        (S + "Shape.<init>()", S + "Shape.<init>(int)"),
        (S + "Shape.name()", S + "Shape.describe(int)"),
        (S + "Shape.describe(String)", "java.lang.String.trim"),
        (S + "Shape.compareTo(Shape)", S + "Shape.name()"),
        (S + "Shape.compareTo(Shape)", T + "Tools.twice(int)"),
        (S + "Shape.ShapeException.<init>(String)", "java.io.IOException"),
        (S + "Square.area()", S + "Shape.name()"),
        (S + "Square.name()", S + "Shape.describe(String)"),
        (S + "Square.name()", S + "Shape.name()"),
        (S + "SquareTest.area()", S + "Square.area()"),
        (S + "SquareTest.area()", S + "SquareTest.helper()"),
    }
    assert of(shop, "calls", T) == {
        (T + "Tools.twice(long)", T + "Tools.twice(int)"),
        (T + "Tools.of(T,Unknown)", "java.lang.Thread"),
        (T + "Tools.of(T,Unknown)", "java.lang.Thread.start"),
        (T + "Tools.of(T,Unknown)", "java.lang.String.valueOf"),
        (T + "Tools.of(T,Unknown)", T + "Tools.twice(int)"),
        (T + "Tools.of(T,Unknown)", "java.lang.Object.toString"),
        (T + "Tools.choose(Unknown)", T + "Tools.overloaded(Tools)"),
    }


def test_what_is_not_known_is_counted_and_not_invented(shop: Found) -> None:
    reasons = Counter({why: n for (relation, why), n in shop.unresolved.items() if relation == "calls"})
    assert reasons == {
        "value of a type that no import gives": 1,  # other.call(): Unknown is no type of this corpus
        "value of a type variable": 1,  # named.name(): T
        "method that an anonymous class may have": 1,  # helper() in new Named() {...}
        "result of outside code": 1,  # all.toString().trim()
        "overload that the arguments do not decide": 1,  # overloaded(value)
        "no method of so many arguments": 1,  # helper(1)
        "variable of no declared type": 1,  # e.printStackTrace() of a multi-catch
    }
    made = sum(1 for one in shop.triples if one.relation in ("calls", "instantiates"))
    assert shop.sites["calls"] == 29
    assert made + reasons.total() <= shop.sites["calls"]


def test_objects_variables_and_exceptions(shop: Found) -> None:
    assert of(shop, "instantiates") == {
        (S + "Square.area()", S + "Shape.ShapeException"),
        (S + "Square.name()", S + "Square"),
        (S + "SquareTest.area()", S + "Square"),
        (T + "Tools.of(T,Unknown)", T + "Named"),
    }
    assert of(shop, "invokes") == {(S + "Square.area()", S + "Shape.ShapeException.<init>(String)")}
    assert of(shop, "writes_to") == {
        (S + "Shape.<init>(int)", S + "Shape.sides"),
        (S + "Shape.<init>(int)", S + "Shape.last"),
    }
    assert of(shop, "reads_from", S) == {
        (S + "Shape.name()", S + "Shape.sides"),
        (S + "Shape.compareTo(Shape)", S + "Shape.others"),
        (S + "Shape.compareTo(Shape)", S + "Shape.sides"),
        (S + "Square.area()", S + "Square.width"),
        (S + "Square.name()", S + "Shape.last"),
    }
    assert of(shop, "raises") == {
        (S + "Shape.area()", S + "Shape.ShapeException"),
        (S + "Square.area()", S + "Shape.ShapeException"),
        (S + "SquareTest.area()", "java.lang.Exception"),
    }
    assert of(shop, "catches") == {
        (S + "Square.area()", "java.lang.IllegalStateException"),
        (S + "Square.area()", S + "Shape.ShapeException"),
    }


OVERLOADS = """
package p;
class Box<T> {
    Box(T data) {}
    Box(T data, boolean flag) {}
    Box(T data, int... sizes) {}
    Box(T data, boolean flag, int... sizes) {}
    static void of(T data) { int[] sizes = null; new Box<>(data, sizes); }
    static void flagged(T data) { new Box<>(data, /* why */ true); }
    static void many(T data) { new Box<>(data, true, 1, 2); }
}
enum Sign {
    PLUS, MINUS("-") { void f() { PLUS.f(); } };
    String text;
    Sign() {}
    Sign(String text) {}
    void f() {}
}
"""


def test_one_of_variable_arity_is_called_where_no_other_fits() -> None:
    ((_, found),) = results([(Place("p", "1", "Box.java", "MIT"), OVERLOADS.encode(), False)])
    assert isinstance(found, Found)
    assert of(found, "invokes", "p.Box") == {
        ("p.Box.of(T)", "p.Box.<init>(T,int[])"),
        ("p.Box.flagged(T)", "p.Box.<init>(T,boolean)"),
        ("p.Box.many(T)", "p.Box.<init>(T,boolean,int[])"),
    }


def test_constants_of_an_enum_are_made_and_not_read_where_they_are_defined() -> None:
    ((_, found),) = results([(Place("p", "1", "Sign.java", "MIT"), OVERLOADS.encode(), False)])
    assert isinstance(found, Found)
    assert of(found, "invokes", "p.Sign") == {("p.Sign", "p.Sign.<init>()"), ("p.Sign", "p.Sign.<init>(String)")}
    assert of(found, "reads_from") == {("p.Sign", "p.Sign.PLUS")}  # MINUS reads it in its body
    assert of(found, "declares", "p.Sign") == {("p.Sign", f"p.Sign.{name}") for name in ("PLUS", "MINUS", "text")}


def test_tests_and_what_they_test(shop: Found) -> None:
    tested = {(S + "SquareTest.area()", S + "Square"), (S + "SquareTest.area()", S + "Square.area()")}
    assert of(shop, "tests") == tested  # not the helper, which is test code
    assert of(shop, "tested_by") == {(tail, head) for head, tail in tested}


def check_laws(files: list[tuple[Place, bytes, bool]]) -> None:
    rules = ontology.load().relations
    names: dict[str, str] = {}
    triples = []
    for _, found in results(files):
        if isinstance(found, str):
            assert found in ("syntax", "encoding", "nesting")
            continue
        for entity in found.entities:
            assert names.setdefault(entity.name, entity.type) == entity.type
        names |= {name: kind for name, kind in found.outside.items() if name not in names}
        triples += found.triples
    names |= {f"repo:{place.distribution}": "Repository" for place, _, _ in files}
    for one in triples:
        rule = rules[one.relation]
        assert (names[one.head], names[one.tail]) == (one.head_type, one.tail_type), one
        assert one.head_type in rule.domain, one
        assert one.tail_type in rule.range, one
        assert one.language == "java"
    assert len({one.content for one in triples}) == len(triples)


def test_law_every_end_of_a_triple_is_an_entity_of_the_right_type() -> None:
    check_laws(FILES)


def test_the_place_of_a_triple_is_the_text_that_says_it(shop: Found) -> None:
    text = SHAPES.splitlines()
    for one in shop.triples:
        if one.relation == "calls" and one.provenance.file.endswith("Shape.java"):
            line, start, end_line, end = one.provenance.span
            written = text[line - 1][start : end if line == end_line else None]
            name = one.tail.partition("(")[0].rpartition(".")[2]
            assert written.startswith(("this", "super", "new")) or name in written


words = st.sampled_from(SHAPES.replace("(", " ( ").replace(")", " ) ").replace(";", " ; ").split())


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(junk=st.lists(words, max_size=30).map(" ".join), where=st.integers(0, len(SHAPES)), cut=st.integers(0, 200))
def test_law_no_text_stops_extraction_or_breaks_its_laws(junk: str, where: int, cut: int) -> None:
    damaged = SHAPES[:where] + junk + SHAPES[where + cut :]
    check_laws([(FILES[0][0], damaged.encode(), False), FILES[1]])


@settings(deadline=None, max_examples=60)
@given(content=st.binary(max_size=200))
def test_law_any_bytes(content: bytes) -> None:
    check_laws([(FILES[0][0], content, False)])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"class A { void f( }", "syntax"),
        (b'class A { String s = "\xe9"; }', "encoding"),
        (b"class A { int x = " + b"(" * 20_000 + b"1" + b")" * 20_000 + b"; }", "nesting"),
    ],
)
def test_a_file_that_cannot_be_read_is_skipped_with_its_reason(content: bytes, reason: str) -> None:
    (first, second) = results([(FILES[0][0], content, False), FILES[1]])
    assert first[1] == reason
    assert isinstance(second[1], Found)


def test_files_without_a_package_share_one_with_their_folder_only() -> None:
    files = [
        (
            Place("p", "1", f"{folder}/{name}.java", "MIT"),
            f"class {name} {{ void f() {{ new B().g(); }} void g() {{}} }}".encode(),
            False,
        )
        for folder, name in (("x", "A"), ("x", "B"), ("y", "A"))
    ]
    found = {place.file: each for place, each in results(files)}
    assert of(found["x/A.java"], "calls") == {("unnamed:p/x.A.f()", "unnamed:p/x.B.g()")}  # type: ignore[arg-type]
    assert of(found["y/A.java"], "calls") == set()  # type: ignore[arg-type]
    check_laws(files)


def test_a_package_that_python_has_too_keeps_a_name_of_its_own() -> None:
    content = b"package jep; class Jep { Jep f() { return new Jep(); } }"
    files = [(Place("jep", "1", "jep/Jep.java", "zlib"), content, False)]
    ((_, found),) = results(files, taken=frozenset({"jep"}))
    assert isinstance(found, Found)
    assert {one.name for one in found.entities} >= {"java:jep", "java:jep.Jep", "java:jep.Jep.f()"}
    assert ("java:jep.Jep.f()", "java:jep.Jep") in of(found, "instantiates")


def test_a_type_is_written_in_many_ways() -> None:
    root = declarations.tree(
        b"class A { java.util.Map<String, ? extends List<int[]>>[] f; void g(int x[], String... y) {} }"
    )
    unit = declarations.read(root.text or b"", "p", "A.java")
    kind = unit.types[0]
    written = kind.fields["f"].type
    assert (written.name, written.dimensions, written.erased) == ("java.util.Map", 1, "Map[]")
    assert [one.erased for one in written.arguments] == ["String", "List"]
    assert kind.methods[0].signature == "g(int[],String[])"
    assert kind.methods[0].varargs
    assert [kind.methods[0].takes(n) for n in range(4)] == [False, True, True, True]


def test_java_and_python_of_one_folder_make_one_graph(tmp_path: Path) -> None:
    """Both languages with one ontology, the same bytes for every number of shards, JSON lines and Parquet alike."""
    project = tmp_path / "project"
    for place, content, _ in FILES:
        path = project / place.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (project / "broken.java").write_text("class {")
    (project / "tool.py").write_text("def f(): return g()\ndef g(): raise ValueError\n")
    (project / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1.0"\nlicense = "MIT"\n')
    shop = folders.distribution(project)
    built = [graph.build([shop], tmp_path / f"{n}" / "kg.jsonl", processes=1, shards=n) for n in (1, 2, 7)]
    assert len({(one.triples.read_bytes(), one.entities.read_bytes(), one.manifest.read_bytes()) for one in built}) == 1
    found = list(triples.read_triples(built[0].triples))
    assert {one.language for one in found} == {"java", "python"}
    summary = built[0].summary
    assert summary["languages"] == dict(Counter(one.language for one in found))
    assert summary["skipped"] == {"syntax": 1}
    assert len({one.content for one in found}) == len(found) == summary["triples"]
    entities = {one.name: one for one in triples.read_entities(built[0].entities)}
    assert {one.head for one in found} | {one.tail for one in found} <= entities.keys()
    assert entities["java.lang.String"].language == "java"
    assert entities["builtins.ValueError"].language == "python"
    assert entities[S + "Shape"].definition is not None
    assert {"src/main/Shape.java", "tool.py"} <= {row[3] for row in summary["inputs"]}
    whole = graph.build([shop], tmp_path / "kg.parquet", processes=1)
    assert list(triples.read_triples(whole.triples)) == found
    (project / "src" / "main" / "Tools.java").write_text("package shop.tools; class Tools {}")
    again = graph.build([shop], tmp_path / "1" / "kg.jsonl", processes=1)
    assert json.loads(again.manifest.read_text())["key"] != summary["key"]
