"""`audex prepare`: recordings as a TensorFlow data set, for jobs that read millions of them."""

import argparse

TEXT = """
KIND is
  audio_folder   a folder with one sub-folder of recordings for each label, and an optional splits.csv; see
                 `audex train --help`
  tess           the Toronto emotional speech set, unpacked below FOLDER; download it from its publisher

The data set is written as ArrayRecord below --data-dir, with recordings as the files that they are, and named
tfds:audio_folder/NAME or tfds:tess. Writing needs TensorFlow (pip install 'audex-jax[prepare]'), reading does not.
Data sets of TFDS itself: tfds build speech_commands --file_format=array_record

examples:
  audex prepare audio_folder recordings/ --name birds
  audex batch tfds:audio_folder/birds:test --out explained
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex prepare` to its parser."""
    parser.epilog = TEXT
    parser.add_argument(
        "kind", metavar="KIND", choices=("audio_folder", "tess"), help="layout of FOLDER: audio_folder or tess"
    )
    parser.add_argument("folder", metavar="FOLDER", help="folder of the recordings")
    parser.add_argument("--name", help="name of the data set, audio_folder/NAME (default: the name of FOLDER)")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="folder of all data sets (default: $TFDS_DATA_DIR, or ~/tensorflow_datasets)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the data set if it exists")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex prepare`; the exit code."""
    import importlib.util
    import os
    import pathlib

    from audex_jax.core.errors import AudexError
    from audex_jax.data.prepared import data_home

    if importlib.util.find_spec("tensorflow") is None:
        raise AudexError("preparing a data set needs TensorFlow: pip install 'audex-jax[prepare]'")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    from audex_jax.data.builders import prepare

    home = pathlib.Path(arguments.data_dir).absolute() if arguments.data_dir else data_home()
    name = arguments.name or pathlib.Path(arguments.folder).absolute().name
    info = prepare(arguments.kind, arguments.folder, home, name, arguments.overwrite)
    counts = ", ".join(f"{split.num_examples} {split.name}" for split in info.splits.values())
    called = arguments.kind if arguments.kind == "tess" else f"{arguments.kind}/{name}"
    called = called if home == data_home() else f"{home}/{called}"
    print(f"tfds:{called}: {counts}; explain them with: audex batch tfds:{called} --out explained")
    return 0
