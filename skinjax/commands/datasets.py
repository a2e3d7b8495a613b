"""List the data sets that skinjax can prepare, and those that are prepared under the data folder."""

import argparse

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError
from skinjax.data.acquire.catalogue import CATALOGUE, USER_DATA
from skinjax.data.dataset import data_root, prepared, read_manifest


def add_arguments(parser: Parser) -> None:
    parser.add_data_dir()


def run(options: argparse.Namespace) -> int:

    root = data_root(options.data_dir)
    found = prepared(root)
    print("known:")
    print("  synthetic\n    photographs drawn by a program, a test bench and not medicine; needs no preparing")
    for name, about in CATALOGUE.items():
        if name in USER_DATA:
            print(f"  {name}\n    {about.title}")
            continue
        mark = " (prepared)" if name in found else ""
        print(f"  {name}{mark}\n    {about.title}: {about.size}; licence: {about.licence}")
        if name not in found:
            print(f"    to get it: {about.download}")
    print(f"prepared under {root}:" if found else f"prepared under {root}: none")
    for name, folder in found.items():
        try:
            facts = read_manifest(folder)
            counts = ", ".join(f"{label} {count:,}" for label, count in list(facts["images_per_class"].items())[:12])
            more = ", ..." if len(facts["images_per_class"]) > 12 else ""
            print(f"  {name}: {facts['images']:,} photographs, {facts['groups']:,} groups ({counts}{more})")
        except UserError as error:
            print(f"  {name}: {error}")
    return 0
