"""Tables: typed columns, what people read, escaping, and what is not there."""

import re
from dataclasses import replace

import polars as pl
import pytest
from result_documents import HASH, e, small_results

from offclip.evaluation.results import tables_of, write_tables
from offclip.evaluation.results.markup import latex, markdown
from offclip.evaluation.results.table import ResultTable, estimates, printed_columns
from offclip.evaluation.results.tables import NAMES, caption

CAPTION = (
    f"Protocol vindr-cxr-clean ({HASH}). 3,000 images. 95 % intervals: patient-cluster bootstrap, "
    "percentile, 1,000 resamples."
)


def tables(**changes):
    return {table.name: table for table in tables_of(small_results(**changes))}


def printed(table):
    return {column.heading: list(column.cells) for column in printed_columns(table)}


def test_per_class_as_markdown_to_the_letter():
    assert markdown(tables()["per_class"], caption(small_results())) == (
        f"**Results per class.** {CAPTION}\n"
        "\n"
        "| finding | positives | negatives | AUC | AUPRC | threshold | sensitivity | specificity | ECE "
        "| left out |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|\n"
        "| A&B\\_1 #2 | 30 | 2,970 | .900 (.800-.950) | .500 (.400-.600) | -1.5 | .700 (.500-.850) "
        "| .800 (.790-.810) | - | - |\n"
        "| edema | 300 | 2,690 | .723 (.700-.740) | .300 (.250-.350) | - | - | - | .020 (.010-.030) | - |\n"
        "| Hernia | - | - | - | - | - | - | - | - | no positive among 3000 cases |\n"
        "\n"
        "Thresholds from validation.\n"
    )


def test_groups_as_latex_to_the_letter():
    assert latex(tables()["groups"], caption(small_results())) == (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{table}\n"
        "\\centering\n"
        "\\caption{Mean AUC per group of classes. " + CAPTION.replace("%", "\\%") + "}\n"
        "\\label{tab:offclip-groups}\n"
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "group & classes & AUC \\\\\n"
        "\\midrule\n"
        "head & 2 & .900 (.800--.950) \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\end{table}\n"
    )


@pytest.mark.parametrize("name", NAMES[:8])
def test_latex_is_well_formed(name):
    table = tables()[name]
    text = latex(table, caption(small_results()))
    body = text.split("\n", 1)[1]  # without the comment
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", body) for word in ("begin", "end"))
    assert begun == ended[::-1]
    bare = re.sub(r"\\[\\&%$#_{}]", "", body)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[%#_^~]", bare.replace(r"\label{tab:offclip-", "")), bare
    columns = len(re.search(r"\\begin{tabular}{([lr]+)}", body).group(1))
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == len(table.frame) + 1
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == columns - 1


def test_signs_that_latex_and_markdown_read_as_commands():
    hostile = r"50 % & $x_1$ #2 {a} ~ ^ \n <b> |c| *d*"
    frame = pl.DataFrame(
        {"finding": [hostile], "p": [0.00001], **estimates("difference", [e(-0.0124, -0.02, 0.001)])}
    )
    table = ResultTable("t", "T", frame, ("finding", "difference", "p"))
    row = latex(table, "").splitlines()[9]
    assert row == (
        r"50 \% \& \$x\_1\$ \#2 \{a\} \textasciitilde{} \textasciicircum{} \textbackslash{}n "
        r"\textless{}b\textgreater{} \textbar{}c\textbar{} *d* & $-$.012 ($-$.020 to .001) "
        r"& \textless{}.001 \\"
    )
    cells = markdown(table, "").splitlines()[-1]
    assert cells == (
        r"| 50 % & $x\_1$ #2 {a} ~ ^ \\n &lt;b&gt; \|c\| \*d\* | -.012 (-.020 to .001) | &lt;.001 |"
    )
    assert len(re.findall(r"(?<!\\)\|", cells)) == 4


def test_a_hyphen_in_a_name_stays_one_and_a_line_break_makes_no_row():
    frame = pl.DataFrame({"finding": ["COVID-19\n2-3"], "n": [1]})
    assert r"COVID-19 2-3 & 1 \\" in latex(ResultTable("t", "T", frame), "")
    assert "| COVID-19 2-3 | 1 |" in markdown(ResultTable("t", "T", frame), "")


def test_a_long_table_breaks_over_pages():
    frame = pl.DataFrame({"finding": [str(i) for i in range(60)]})
    text = latex(ResultTable("t", "T", frame), "")
    assert text.startswith("% needs \\usepackage{booktabs} \\usepackage{longtable}\n\\begin{longtable}{l}")
    assert text.count("\\toprule") == 2
    assert "\\end{longtable}" in text
    assert "tabular" not in text


def test_columns_are_typed_and_an_interval_is_three():
    frame = tables()["per_class"].frame
    schema = frame.schema
    assert schema["auc"] == schema["auc_low"] == schema["threshold"] == pl.Float64
    assert schema["positives"] == schema["tp"] == pl.Int64
    assert schema["threshold_from"] == pl.String
    first = frame.row(0, named=True)
    assert (first["auc"], first["auc_low"], first["auc_high"]) == (0.9, 0.8, 0.95)
    assert (first["tp"], first["fp"], first["tn"], first["fn"]) == (21, 594, 2376, 9)
    assert frame["auc_delong"].to_list() == [0.9, None, None]
    assert frame["ece_before"].to_list() == [None, 0.2, None]


def test_the_summary_has_what_is_there_and_no_more():
    frame = tables()["summary"].frame
    assert frame["measure"].to_list() == [
        "macro_auc",
        "normal_auc",
        "normal_auc_worst_prompt",
        "false_findings_per_normal",
        "normals_with_any_finding",
    ]
    assert frame["about"].to_list()[1:3] == ["There is no finding.", "The lungs are clear."]
    assert tables()["summary"].notes == ("In no mean: Hernia (no positive among 3000 cases).",)


def test_measures_of_a_model_run_come_without_an_interval():
    metrics = {"pointing_accuracy": 0.34, "normal_auc": 0.1, "pointing_chance": None}
    made = tables(metrics=metrics | {"worst_prompt_normal_auc": 0.2, "new": 0.3})["summary"]
    frame = made.frame.filter(pl.col("measure") == "pointing_accuracy")
    assert frame.select("value", "low", "high").row(0) == (0.34, None, None)
    # The block of the headline has the interval, so it wins.
    assert made.frame.filter(pl.col("measure") == "normal_auc")["value"].item() == 0.85
    assert not {"pointing_chance", "worst_prompt_normal_auc"} & set(made.frame["measure"])
    assert printed(made)["measure"][-2:] == ["Pointing game", "new"]
    assert printed(made)["value"][-2:] == [".340", ".300"]


def test_rule_out_tells_why_a_claim_is_refused():
    table = tables()["rule_out"]
    assert printed(table)["target sensitivity"] == [".950", ".999"]
    assert printed(table)["claim"] == ["supported", "refused"]
    assert printed(table)["normals cleared"] == [".300 (.280-.320)", "-"]
    assert printed(table)["NPV"] == [".985 (.980-.990)", "-"]
    assert table.notes == ("At 0.999 refused: 2,995 abnormal cases are needed, there are 990",)


def test_other_tables():
    made = tables()
    assert printed(made["normal_scores"])["reported"] == ["yes", "-"]
    assert printed(made["subgroups"])["subgroup"] == ["F", "not known"]
    assert printed(made["subgroups"])["reason"] == ["-", "no abnormal case"]
    assert made["negation"].frame.rows() == [("", "macro", 0.9, 0.88, 0.92, None)]
    assert printed(made["negation_per_class"]) == {
        "finding": ["edema"],
        "balanced": [".900 (.800-.950)"],
        "n present": ["300"],
        "present": [".900"],
    }
    assert not {"grounding", "grounding_per_class"} & set(made)


def test_thresholds_from_different_places_stand_in_the_rows():
    results = small_results()
    point = results["per_class"]["A&B_1 #2"]["operating_point"]
    results["per_class"]["edema"]["operating_point"] = point | {"from": "the test set itself (optimistic)"}
    table = next(t for t in tables_of(results) if t.name == "per_class")
    assert printed(table)["threshold from"][:2] == ["validation", "the test set itself (optimistic)"]
    assert not table.notes


@pytest.mark.parametrize(
    "missing",
    [
        "protocol",
        "run",
        "interval",
        "macro_auc",
        "groups",
        "per_class",
        "left_out",
        "normal",
        "negation",
        "metrics",
    ],
)
def test_a_block_that_is_null_or_missing_makes_no_table_and_no_error(tmp_path, missing):
    whole = set(tables())
    for results in (small_results(**{missing: None}), small_results()):
        if results[missing] is not None:
            del results[missing]
        found = {table.name for table in tables_of(results)}
        gone = {"groups": {"groups"}, "negation": {"negation", "negation_per_class"}}
        gone["normal"] = {"normal_scores", "rule_out", "subgroups"}
        assert whole - found == gone.get(missing, set())
        assert write_tables(results, tmp_path)


def test_no_results_make_no_tables(tmp_path):
    assert tables_of({}) == []
    assert write_tables({}, tmp_path) == []


def test_files(tmp_path):
    written = write_tables(small_results(), tmp_path / "tables")
    names = ["summary", "per_class", "normal_scores", "rule_out", "subgroups", "groups"]
    names += ["negation", "negation_per_class"]
    assert [path.name for path in written] == [
        f"{n}.{s}" for n in names for s in ("parquet", "csv", "md", "tex")
    ]
    assert sorted(written) == sorted((tmp_path / "tables").iterdir())  # nothing temporary is left
    parquet = pl.read_parquet(tmp_path / "tables" / "per_class.parquet")
    assert parquet["protocol_hash"].to_list() == [HASH] * 3
    csv = pl.read_csv(tmp_path / "tables" / "per_class.csv", schema=parquet.schema)
    assert csv.equals(parquet)


def test_tables_of_an_earlier_evaluation_do_not_stay(tmp_path):
    write_tables(small_results(), tmp_path)
    (tmp_path / "mine.csv").write_text("a\n1\n")
    write_tables(small_results(normal=None), tmp_path)
    assert not list(tmp_path.glob("rule_out.*"))
    assert (tmp_path / "summary.csv").is_file()
    assert (tmp_path / "mine.csv").is_file()


def test_classes_of_a_block_may_have_different_measures():
    grounding = {
        "per_class": {
            "nodule": {"pointing": e(0.5, 0.4, 0.6), "boxes": 12, "chance": 0.1, "note": "x", "curve": [1]},
            "edema": {"pointing": None, "boxes": None, "chance": 1, "note": "y"},
        },
        "left_out": {"mass": "no box"},
    }
    table = tables(grounding=grounding)["grounding_per_class"]
    assert table.frame.rows() == [("nodule", 0.5, 0.4, 0.6, 12, 0.1), ("edema", None, None, None, None, 1.0)]
    assert table.notes == ("Left out: mass (no box).",)
    # A curve is more than the table holds, so the long table has every number.
    assert tables(grounding=grounding)["grounding"].frame.rows() == [
        ("per_class / nodule", "pointing", 0.5, 0.4, 0.6, None),
        ("per_class / nodule", "boxes", None, None, None, 12),
        ("per_class / nodule", "chance", 0.1, None, None, None),
        ("per_class / edema", "chance", None, None, None, 1),
    ]


def test_nan_and_infinity_are_no_numbers():
    table = replace(tables(macro_auc=e(float("nan"), 0, 1), normal=None)["per_class"], name="x")
    assert table.frame["auc"].null_count() == 1  # Hernia
    made = tables(macro_auc=e(0.5, float("nan"), float("inf")), normal=None)["summary"]
    assert printed(made)["value"] == [".500"]
