"""What `data check` finds, and that nothing on disk makes it crash."""

import re

import numpy as np
import pytest
from PIL import Image

from echoseg.datasets import check_dataset


def found(root, severity=None, **options):
    return [str(f) for f in check_dataset(root, **options) if severity in (None, f.severity)]


def one(findings, *words):
    """The one finding that holds all words."""
    (match,) = (text for text in findings if all(word in text for word in words))
    return match


@pytest.fixture
def good_camus(camus):
    for number in (1, 2, 3):
        camus.patient(number, views=("2CH", "4CH"), sequence=(1, 5))
    camus.splits(training=["patient0001"], validation=["patient0002"], testing=["patient0003"])
    return camus


@pytest.fixture
def good_echonet(echonet, make):
    for stem in ("0XA", "0XB"):
        echonet.video(stem, [(1, make.tracing(20)), (4, make.tracing(14))])
    return echonet


def patient(camus, number=1):
    return camus.root / "database_nifti" / f"patient{number:04d}"


class TestCamus:
    def test_a_good_folder_has_nothing_but_its_oblong_pixels(self, good_camus):
        (finding,) = found(good_camus.root, deep=True)
        assert finding.startswith("info: .: 6 of 6 cases have oblong pixels (row/column size 0.500 to 0.500)")

    def test_progress_is_told(self, good_camus):
        told = []
        check_dataset(good_camus.root, progress=lambda done, total: told.append((done, total)))
        assert told == [(i, 6) for i in range(1, 7)]

    @pytest.mark.parametrize("part", ["ED_gt", "ES_gt"])
    def test_missing_mask(self, good_camus, part):
        (patient(good_camus) / f"patient0001_4CH_{part}.nii.gz").unlink()
        assert one(found(good_camus.root, "error"), "patient0001_4CH", f"no {part[:2]} mask", "copy it")

    def test_missing_still_where_there_is_no_sequence(self, camus):
        (camus.patient(1) / "patient0001_4CH_ES.nii.gz").unlink()
        assert one(found(camus.root, "error"), "no ES image")

    def test_missing_cfg_matters_more_where_there_is_a_sequence(self, camus):
        camus.patient(1, info="")
        camus.patient(2, info="", sequence=(1, 4))
        findings = found(camus.root)
        assert one(findings, "warning", "patient0001/Info_4CH.cfg: missing")
        assert one(findings, "error", "patient0002/Info_4CH.cfg: missing")

    def test_mask_of_another_size(self, good_camus, make):
        make.nifti(patient(good_camus) / "patient0001_2CH_ED_gt.nii.gz", make.labels(9, (40, 31)))
        assert one(found(good_camus.root, "error"), "2CH_ED_gt", "(1, 40, 31)", "(40, 30)")

    def test_image_of_another_size_or_spacing(self, good_camus, make):
        make.nifti(patient(good_camus) / "patient0001_2CH_ED.nii.gz", make.image(1, (40, 31)))
        make.nifti(patient(good_camus) / "patient0001_4CH_ED.nii.gz", make.image(1), (0.3, 0.3))
        findings = found(good_camus.root, "error")
        assert one(findings, "2CH_ED.nii.gz", "(40, 31) pixels")
        assert one(findings, "4CH_ED.nii.gz", "row_mm=0.3")

    def test_label_4(self, good_camus, make):
        make.nifti(patient(good_camus) / "patient0001_2CH_ED_gt.nii.gz", make.labels(9) + 3)
        assert one(found(good_camus.root, "error"), "2CH_ED_gt.nii.gz", "label")

    def test_empty_tiny_and_cut_masks(self, good_camus, make):
        for part, mask in (
            ("2CH_ED_gt", make.labels(9) * 0),
            ("2CH_ES_gt", make.labels(1)),
            ("4CH_ED_gt", make.labels(9, centre=(18, 3))),
        ):
            make.nifti(patient(good_camus) / f"patient0001_{part}.nii.gz", mask)
        findings = found(good_camus.root)
        assert one(findings, "error", "2CH_ED_gt", "without an LV")
        assert one(findings, "warning", "2CH_ES_gt", "mask of only 5 LV pixels")
        assert one(findings, "warning", "4CH_ED_gt", "touches the border")

    def test_ed_smaller_than_es(self, good_camus, make):
        make.nifti(patient(good_camus) / "patient0001_4CH_ED_gt.nii.gz", make.labels(4))
        assert one(found(good_camus.root, "warning"), "patient0001_4CH", "49 px at ED and of 81 px at ES", "swapped")

    def test_ef_far_from_the_masks(self, good_camus, make):
        (patient(good_camus) / "Info_4CH.cfg").write_text("ED: 1\nES: 5\nEF: 9\n")
        assert one(found(good_camus.root, "warning"), "patient0001_4CH", "by the masks, 9 % in the table")

    def test_ef_out_of_range_and_against_its_volumes(self, camus):
        camus.patient(1, info="EF: 140\n")
        camus.patient(2, info="LVedv: 100\nLVesv: 40\nLVef: 50\n")
        camus.patient(3, info="LVedv: 40\nLVesv: 100\n")
        findings = found(camus.root)
        assert one(findings, "error", "patient0001/Info_4CH.cfg: EF of 140 %")
        assert one(findings, "warning", "patient0002/Info_4CH.cfg: EF 50.0 %, but 60.0 % by its volumes")
        assert one(findings, "error", "patient0003/Info_4CH.cfg: EDV 40 and ESV 100 mL")

    def test_frame_numbers_outside_the_sequence(self, good_camus):
        (patient(good_camus) / "Info_4CH.cfg").write_text("ED: 1\nES: 6\n")
        assert one(found(good_camus.root, "error"), "Info_4CH.cfg", "ES is frame 6 of a 5-frame sequence")

    def test_patient_in_two_splits_and_strangers(self, good_camus):
        good_camus.patient(9)
        good_camus.splits(training=["patient0001", "patient0003", "patient0500"])
        findings = found(good_camus.root)
        assert one(findings, "error", "patient0003: listed in train and test", "leak")
        assert one(findings, "warning", "1 listed patients are not here: patient0500")
        assert one(findings, "warning", "1 patients are in no list and are not used: patient0009")

    def test_no_split_files(self, camus):
        camus.patient(1)
        assert one(found(camus.root, "info"), "database_split: no split files", "70 %")

    def test_stills_only(self, camus):
        camus.patient(1)
        assert one(found(camus.root, "info"), "1 of 1 views are ED and ES stills only")

    def test_sequence_without_masks_between(self, good_camus):
        (patient(good_camus) / "patient0001_4CH_half_sequence_gt.nii.gz").unlink()
        assert one(found(good_camus.root, "info"), "1 of 6 sequences without masks between ED and ES")

    def test_duplicates(self, good_camus):
        source = patient(good_camus, 1) / "patient0001_4CH_half_sequence.nii.gz"
        (patient(good_camus, 2) / "patient0002_2CH_half_sequence.nii.gz").write_bytes(source.read_bytes())
        assert [text for text in found(good_camus.root) if "same content" in text and "0002_2CH" in text]

    def test_missing_spacing(self, camus, make):
        folder = camus.patient(1, mhd=True)
        for part in ("ED", "ES"):
            header = folder / f"patient0001_4CH_{part}.mhd"
            header.write_text(re.sub("ElementSpacing.*\n", "", header.read_text()))
        assert one(found(camus.root, "warning"), "1 of 1 cases without pixel spacing", "--spacing-mm")

    def test_flat_image(self, camus, make):
        make.nifti(camus.patient(1) / "patient0001_4CH_ED.nii.gz", make.image(0) * 0)
        assert one(found(camus.root, "error"), "4CH_ED.nii.gz", "every pixel has the same value")

    def test_cut_sequences_are_found_where_one_looks_deep(self, good_camus):
        for part in ("half_sequence", "half_sequence_gt"):
            path = patient(good_camus) / f"patient0001_4CH_{part}.nii.gz"
            path.write_bytes(path.read_bytes()[:-40])
        assert found(good_camus.root, "error") == []
        findings = found(good_camus.root, "error", deep=True)
        assert one(findings, "4CH_half_sequence.nii.gz")
        assert one(findings, "4CH_half_sequence_gt.nii.gz")


class TestEchoNet:
    def test_a_good_folder_has_nothing_but_its_missing_spacing(self, good_echonet):
        (finding,) = found(good_echonet.write(), deep=True)
        assert finding.startswith("info: .: EchoNet-Dynamic has no pixel spacing")

    def test_unlabelled_training_videos_are_no_error(self, good_echonet):
        unknown = {"ef": "", "edv": "", "esv": ""}
        good_echonet.video("0XC", [], **unknown).video("0XD", [], **unknown)
        (info, _) = found(good_echonet.write())
        assert info.startswith(
            "info: FileList.csv: 2 training videos without tracings, EF and volumes, for example 0XC"
        )

    def test_lost_labels_are_an_error(self, good_echonet):
        unknown = {"edv": "", "esv": ""}
        good_echonet.video("0XC", [], ef=50, **unknown).video("0XD", [], ef="", split="TEST", **unknown)
        findings = found(good_echonet.write(), "error")
        assert one(findings, "0XC: 0 usable tracings") and one(findings, "0XD: 0 usable tracings")

    def test_rows_other_than_21(self, good_echonet, make):
        good_echonet.video("0XC", [(1, make.tracing(20)[:20]), (4, make.tracing(14))])
        assert one(found(good_echonet.write()), "warning", "0XC: frame 1 has 20 rows instead of 21")

    def test_frame_outside_the_video(self, good_echonet, make):
        good_echonet.video("0XC", [(1, make.tracing(20)), (6, make.tracing(14))])
        findings = found(good_echonet.write(), "error")
        assert one(findings, "0XC: frame 6 of a 6-frame video")
        assert one(findings, "0XC: 1 usable tracings")

    def test_suspicious_outlines(self, good_echonet, make):
        crossed = make.tracing(20)
        crossed[5], crossed[9] = crossed[9], crossed[5]
        small, es = make.tracing(2, top=40, bottom=60), make.tracing(14)
        good_echonet.video("0XC", [(1, crossed), (4, es)])
        good_echonet.video("0XD", [(1, make.tracing(20)), (4, small)])
        good_echonet.video("0XE", [(1, make.tracing(20, centre=95)), (4, make.tracing(14, centre=95))])
        good_echonet.video("0XF", [(1, es[:1]), (2, make.tracing(20)), (4, es)])
        findings = found(good_echonet.write())
        assert one(findings, "0XC: the outline of frame 1 crosses itself")
        assert one(findings, "0XD: tracing of frame 4 of only")
        assert one(findings, "0XE: tracing of frame 1 touches the border")
        assert one(findings, "0XE: the outline of frame 1 leaves the frame")
        assert one(findings, "0XF: the tracing of frame 1 encloses nothing")

    def test_ef_of_the_tracings_against_the_table(self, good_echonet, make):
        good_echonet.video("0XC", [(1, make.tracing(20)), (4, make.tracing(18))], ef=65, edv=100, esv=35)
        assert one(found(good_echonet.write(), "warning"), "0XC: EF 19.0 % by the tracings, 65.0 % in FileList.csv")

    def test_table_rows(self, good_echonet, make):
        traces = [(1, make.tracing(20)), (4, make.tracing(14))]
        good_echonet.video("0XC", traces, ef=-3, edv="", fps=0)
        good_echonet.video("0XD", traces, edv=100, esv=20)
        good_echonet.video("0XE", traces, split="later")
        good_echonet.video("0XF", traces, write=False)
        good_echonet.video("0XG", traces, claimed_frames=9)
        good_echonet.rows += [good_echonet.rows[0], (*good_echonet.rows[1][:-1], "TEST")]
        findings = found(good_echonet.write())
        assert one(findings, "error", "0XC: EF of -3 %")
        assert one(findings, "warning", "0XC: frame rate 0")
        assert one(findings, "warning", "0XD: EF 50.0 %, but 80.0 % by its volumes")
        assert one(findings, "error", "0XE: no split")
        assert one(findings, "error", "Videos/0XF.avi: missing")
        assert one(findings, "warning", "0XG.avi: 6 frames, FileList.csv says 9")
        assert one(findings, "warning", "0XA: listed 2 times")
        assert one(findings, "error", "0XB: listed in two splits")

    def test_strangers_duplicates_and_lines_without_numbers(self, good_echonet, make):
        good_echonet.video("0XC", [(1, make.tracing(20)), (4, make.tracing(14))], salt=0)
        good_echonet.lines += [("0XZ.avi", *row, 3) for row in make.tracing(9)] + [("0XA.avi", "?", 1, 1, 1, 1)]
        root = good_echonet.write()
        (root / "Videos" / "0XY.avi").write_bytes(b"")
        findings = found(root)
        assert one(findings, "1 traced, but not in FileList.csv, for example 0XZ")
        assert one(findings, "1 videos that are not in FileList.csv, for example 0XY")
        assert one(findings, "Videos/0XA.avi: same content as Videos/0XC.avi")
        assert one(findings, "1 lines without numbers", "(0XA)")


class TestFolder:
    @pytest.fixture
    def root(self, tmp_path, make):
        for name in "ab":
            for kind in ("images", "masks"):
                (tmp_path / "plain" / kind / name).mkdir(parents=True)
            for i in range(4):
                Image.fromarray(make.image(i)).save(tmp_path / "plain" / "images" / name / f"{i}.png")
            for i, radius in ((0, 9), (3, 5)):
                Image.fromarray(make.labels(radius)).save(tmp_path / "plain" / "masks" / name / f"{i}.png")
        return tmp_path / "plain"

    def test_a_good_folder_lacks_a_table_and_spacing(self, root):
        assert {f.severity for f in check_dataset(root, deep=True)} == {"info", "warning"}
        findings = found(root)
        assert one(findings, "no cases.csv")
        assert one(findings, "2 of 2 cases without pixel spacing")

    def test_broken_cases(self, root, make):
        (root / "masks" / "a" / "3.png").write_bytes(b"\x89PNG nothing")
        (root / "masks" / "b" / "0.png").unlink()
        (root / "masks" / "z").mkdir()
        findings = found(root)
        assert one(findings, "error: masks/a: 3.png", "cannot be read")
        assert one(findings, "error", "images/b: fewer than two masks")
        assert one(findings, "warning", "masks/z: masks without images")

    def test_table(self, root):
        (root / "cases.csv").write_text(
            "case,split,patient,fps,spacing_mm,ef,ed_frame,es_frame\n"
            "a,later,p,fast,0.3x,300,3,0\nb,train,q,50,0.2,9,0,3\nc,test,q,,,,,\n"
        )
        findings = found(root)
        assert one(findings, "cases.csv: a: split 'later'")
        assert one(findings, "no split, or two: a")
        assert one(findings, "in cases.csv, but not in images: c")
        assert one(findings, "masks/b: EF of about", "9 % in the table")
        (root / "cases.csv").write_text("case,spacing_mm,fps,ef,ed_frame,es_frame\na,0.3x,fast,300,3,0\n")
        findings = found(root)
        assert one(findings, "cases.csv: a: spacing_mm '0.3x'")
        assert one(findings, "cases.csv: a: fps 'fast'")
        assert one(findings, "cases.csv: a: EF of 300 %")
        assert one(findings, "masks/a: LV of", "swapped")
        assert one(findings, "b: not in cases.csv")


def test_unknown_folder_is_a_finding(tmp_path):
    (finding,) = check_dataset(tmp_path)
    assert finding.severity == "error"
    assert "FileList.csv" in finding.what
    (finding,) = check_dataset(tmp_path / "nowhere")
    assert "not a folder" in finding.what


def spoilers():
    def swap(path):
        path.unlink()
        path.mkdir()

    def link(path):
        path.unlink()
        path.symlink_to("nowhere")

    return {
        "empty": lambda path: path.write_bytes(b""),
        "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(500)),
        "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        "folder": swap,
        "broken link": link,
        "gone": lambda path: path.unlink(),
    }


@pytest.mark.parametrize("spoil", spoilers().values(), ids=spoilers())
def test_no_broken_file_makes_the_check_crash(spoil, good_camus, good_echonet, tmp_path, make):
    (tmp_path / "plain" / "images").mkdir(parents=True)
    (tmp_path / "plain" / "masks").mkdir()
    make.nifti(tmp_path / "plain" / "images" / "a.nii.gz", np.stack([make.image(i) for i in range(3)]))
    make.nifti(tmp_path / "plain" / "masks" / "a.nii.gz", np.stack([make.labels(9), make.labels(7), make.labels(5)]))
    (tmp_path / "plain" / "cases.csv").write_text("case,split\na,train\n")
    for root in (good_camus.root, good_echonet.write(), tmp_path / "plain"):
        harmless = {str(f) for f in check_dataset(root)}
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            if root == good_camus.root and "patient0001_4CH" not in path.name and path.suffix == ".gz":
                continue  # one view stands for all
            kept = path.read_bytes()
            spoil(path)
            findings = {str(f) for f in check_dataset(root, deep=True)}
            assert findings != harmless or path.suffix == ".cfg", path  # half a cfg may hold all that is needed
            if path.is_dir():
                path.rmdir()
            path.unlink(missing_ok=True)
            path.write_bytes(kept)
        assert {str(f) for f in check_dataset(root)} == harmless
