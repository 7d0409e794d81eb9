import gc
import io
import json
import shutil
import tarfile
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from offclip.data.shards.index import INDEX_SCHEMA, read_piece
from offclip.data.shards.make import make_shards
from offclip.data.shards.options import ShardOptions
from offclip.data.shards.sample import key_of, read_findings
from offclip.data.shards.tar import read_at
from offclip.data.shards.verify import is_shard_folder, verify_shards
from offclip.errors import ConfigError, DataError
from offclip.images import read

SMALL = ShardOptions(shard_bytes=60_000)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.fixture(scope="module")
def shards(phantom, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("shards") / "out"
    make_shards(phantom / "studies.parquet", out, SMALL, workers=1)
    return out


@pytest.fixture
def own_shards(shards, tmp_path) -> Path:
    return Path(shutil.copytree(shards, tmp_path / "own"))


def test_every_image_of_the_table_is_in_a_shard_of_its_split(shards, studies):
    index = pl.read_parquet(shards / "index" / "*.parquet")
    wanted = {(image["image_id"], s["split"]) for s in studies.iter_rows(named=True) for image in s["images"]}
    assert {(row["image_id"], row["shard"].split("-")[0]) for row in index.iter_rows(named=True)} == wanted
    assert len(index) == len(wanted)
    assert index.schema.names() == INDEX_SCHEMA.names


def test_index_leads_to_the_bytes_of_the_image_file(shards, studies):
    paths = {image["image_id"]: image["path"] for s in studies["images"] for image in s}
    for row in pl.read_parquet(shards / "index" / "*.parquet").iter_rows(named=True):
        data = read_at(shards / row["shard"], row["offset"], row["size"])
        assert data == Path(paths[row["image_id"]]).read_bytes()
        assert Image.open(io.BytesIO(data)).size == (row["width"], row["height"])


def test_no_shard_is_larger_than_asked_and_several_are_made(shards):
    sizes = [path.stat().st_size for path in shards.glob("train-*.tar")]
    assert len(sizes) > 1
    assert max(sizes) <= SMALL.shard_bytes


def test_sample_larger_than_a_shard_gets_one_of_its_own(phantom, tmp_path):
    summary = make_shards(
        phantom / "studies.parquet", tmp_path / "out", ShardOptions(shard_bytes=1), workers=1
    )
    assert summary.shards == summary.samples


def test_members_carry_text_labels_and_findings(shards, phantom, studies):
    findings = read_findings(phantom / "labels.csv")
    study = {s["study_id"]: s for s in studies.iter_rows(named=True)}
    with tarfile.open(next(iter(sorted(shards.glob("train-*.tar"))))) as tar:
        members = {info.name: tar.extractfile(info).read() for info in tar}
    texts = {name[:-4]: data.decode() for name, data in members.items() if name.endswith(".txt")}
    assert texts
    for key, text in texts.items():
        known = json.loads(members[f"{key}.json"])
        row = study[known["study_id"]]
        assert known["report"] == row["report"]
        assert known["label"] == row["label"]
        assert known["findings"] == findings[known["image_id"]]
        assert text == " ".join(s["text"] for s in row["sentences"] if s["label"] == row["label"])


def test_same_table_and_options_give_the_same_bytes(shards, phantom, tmp_path):
    make_shards(phantom / "studies.parquet", tmp_path / "again", SMALL, workers=2)
    assert files_of(tmp_path / "again") == files_of(shards)


@pytest.mark.parametrize("cut", ["index and card", "half a tar", "no tar"])
def test_stopped_run_goes_on_and_ends_with_the_same_bytes(own_shards, shards, phantom, cut):
    (own_shards / "shards.json").unlink()
    last = sorted(own_shards.glob("train-*.tar"))[-1]
    if cut == "index and card":
        (own_shards / "index" / f"{last.stem}.parquet").unlink()
    elif cut == "half a tar":
        last.write_bytes(last.read_bytes()[:5000])
    else:
        last.unlink()
    summary = make_shards(phantom / "studies.parquet", own_shards, SMALL, workers=1)
    assert 0 < summary.resumed < sum(summary.samples.values())
    assert files_of(own_shards) == files_of(shards)


def test_finished_run_is_not_made_again(own_shards, phantom):
    before = {path: path.stat().st_mtime_ns for path in own_shards.rglob("*.tar")}
    summary = make_shards(phantom / "studies.parquet", own_shards, SMALL, workers=1)
    assert summary.resumed == sum(summary.samples.values())
    assert {path: path.stat().st_mtime_ns for path in own_shards.rglob("*.tar")} == before


def test_shards_of_other_options_are_refused_and_kept(own_shards, phantom):
    before = files_of(own_shards)
    with pytest.raises(DataError, match="made from another table or with other options"):
        make_shards(phantom / "studies.parquet", own_shards, ShardOptions(), workers=1)
    (own_shards / "shards.json").unlink()
    with pytest.raises(DataError, match="made from another table or with other options"):
        make_shards(phantom / "studies.parquet", own_shards, ShardOptions(), workers=1)
    del before["shards.json"]
    assert files_of(own_shards) == before


def test_unreadable_images_are_listed_and_the_rest_is_written(own_phantom, tmp_path):
    table = pl.read_parquet(own_phantom / "studies.parquet")
    bad = [table["images"][row][0] for row in (0, len(table) - 1)]
    (own_phantom / bad[0]["path"]).write_bytes(b"\x89PNG\r\n\x1a\n")
    (own_phantom / bad[1]["path"]).unlink()
    summary = make_shards(own_phantom / "studies.parquet", tmp_path / "out", SMALL, workers=1)
    reasons = {entry.id: entry.reason.split(":")[0] for entry in summary.skipped}
    assert reasons == {bad[0]["image_id"]: "truncated", bad[1]["image_id"]: "missing"}
    listed = pl.read_csv(tmp_path / "out" / "skipped.csv")
    assert set(listed["id"]) == set(reasons)
    index = pl.read_parquet(tmp_path / "out" / "index" / "*.parquet")
    assert not set(reasons) & set(index["image_id"])
    # The list is whole after a resumed run, too.
    again = make_shards(own_phantom / "studies.parquet", tmp_path / "out", SMALL, workers=1)
    assert set(again.skipped) == set(summary.skipped)


def test_no_readable_image_is_an_error(own_phantom, tmp_path):
    shutil.rmtree(own_phantom / "images")
    with pytest.raises(DataError, match="no image could be read"):
        make_shards(own_phantom / "studies.parquet", tmp_path / "out", workers=1)
    assert not is_shard_folder(tmp_path / "out")


def test_reencoded_images_are_lossless_grey_of_the_chosen_size(own_phantom, tmp_path):
    table = pl.read_parquet(own_phantom / "studies.parquet")
    wide = own_phantom / table["images"][0][0]["path"]
    Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1))).save(wide)
    make_shards(own_phantom / "studies.parquet", tmp_path / "out", ShardOptions(pixels=50), workers=1)
    index = pl.read_parquet(tmp_path / "out" / "index" / "*.parquet")
    row = index.row(by_predicate=pl.col("image_id") == table["images"][0][0]["image_id"], named=True)
    assert (row["height"], row["width"]) == (25, 50)
    assert (row["original_height"], row["original_width"]) == (100, 200)
    pixels = read(read_at(tmp_path / "out" / row["shard"], row["offset"], row["size"]), name="x.png").pixels
    np.testing.assert_array_equal(pixels, np.tile(np.arange(200).reshape(50, 4).mean(1).round(), (25, 1)))


@pytest.mark.parametrize("spoil", ["flip", "cut", "remove", "index"])
def test_verification_names_the_shard_that_is_spoilt(own_shards, spoil):
    assert verify_shards(own_shards) == []
    shard = sorted(own_shards.glob("*.tar"))[1]
    data = bytearray(shard.read_bytes())
    if spoil == "flip":
        data[700] ^= 1
        shard.write_bytes(data)
    elif spoil == "cut":
        shard.write_bytes(data[:2000])
    elif spoil == "remove":
        shard.unlink()
    else:
        (own_shards / "index" / f"{shard.stem}.parquet").write_bytes(b"no parquet")
    assert [name for name, _ in verify_shards(own_shards)] == [shard.name]


def test_webdataset_reads_pairs_as_open_clip_does(shards):
    webdataset = pytest.importorskip("webdataset")
    urls = [str(path) for path in sorted(shards.glob("train-*.tar"))]
    # What open_clip.get_data asks of a shard: an image under one of these endings, and "txt".
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves files to the garbage collector
        data = webdataset.WebDataset(urls, shardshuffle=False).decode("pilrgb")
        pairs = list(data.rename(image="jpg;png;jpeg;webp", text="txt").to_tuple("image", "text", "__key__"))
        del data
        gc.collect()
    index = pl.read_parquet(shards / "index" / "train-*.parquet")
    assert [key for _, _, key in pairs] == index["key"].to_list()
    assert [text for _, text, _ in pairs] == index["caption"].to_list()
    assert all(image.mode == "RGB" for image, _, _ in pairs)


def test_keys_hold_no_dot_and_stay_different():
    ids = ["1.2.840", "1_2_840", "1/2/840", "x" * 300, "x" * 301]
    keys = [key_of(i) for i in ids]
    assert len(set(keys)) == len(ids)
    assert not any("." in key or "/" in key or len(key) > 95 for key in keys)


def test_wrong_labels_and_options_are_refused(own_phantom, tmp_path):
    labels = pl.read_csv(own_phantom / "labels.csv", infer_schema=False)
    labels.with_columns(pl.lit("yes").alias(labels.columns[-1])).write_csv(own_phantom / "labels.csv")
    with pytest.raises(DataError, match="row 2 has a value"):
        make_shards(own_phantom / "studies.parquet", tmp_path / "out", workers=1)
    with pytest.raises(ConfigError, match="pixels is 3"):
        ShardOptions(pixels=3)


def test_piece_that_is_no_piece_is_refused(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="not the index of a shard"):
        read_piece(tmp_path / "a.parquet")
