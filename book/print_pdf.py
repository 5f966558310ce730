"""Print the book, built as a single page, as one PDF with bookmarks.

    python book/print_pdf.py  # what `make pdf` ends with

Chromium prints; `_static/book.css` says how, under `@media print`.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from pathlib import Path

from browser import OPEN, PROGRAM, READY, Browser

BUILD = Path(__file__).parent / "_build"
PAGE_NUMBER = (
    '<div style="width:100%;text-align:center;font-size:8pt"><span class="pageNumber"></span></div>'
)


def single_titles(pdf: bytes) -> bytes:
    r"""Repair bookmarks that Chromium doubles where a title has moved to the next page.

    What is taken away becomes blanks, so that all offsets within the file stay true.

    >>> single_titles(rb"/Title (The mapThe map) /Title (Counting)")
    b'/Title (The map)        /Title (Counting)'
    >>> single_titles(rb"/Title <FEFF00410041>")
    b'/Title <FEFF0041>    '
    """
    doubled = rb"/Title (\((?P<text>[^()]+)(?P=text)\)|<FEFF(?P<code>[0-9A-F]+)(?P=code)>)"

    def written(found: re.Match[bytes]) -> bytes:
        text, code = found["text"], found["code"]
        title = b"(%s)" % text if text else b"<FEFF%s>" % code
        return (b"/Title " + title).ljust(len(found[0]))

    return re.sub(doubled, written, pdf)


def lacks_chinese() -> bool:
    """Whether this machine says that it has no font with Chinese letters."""
    program = shutil.which("fc-list")
    if program is None:
        return False
    run = subprocess.run([program, ":lang=zh"], capture_output=True, text=True, check=False)
    return run.returncode == 0 and not run.stdout.strip()


def print_page(page: Path, pdf: Path) -> int:
    """Print a page of HTML; return the bytes of the PDF."""
    with Browser(1000) as browser:
        browser.open(page.resolve().as_uri())
        browser.wait(READY, 300)
        browser.run(OPEN)
        stream = browser.send(
            "Page.printToPDF",
            transferMode="ReturnAsStream",
            printBackground=True,
            preferCSSPageSize=True,
            generateTaggedPDF=True,
            generateDocumentOutline=True,
            displayHeaderFooter=True,
            headerTemplate="<span></span>",
            footerTemplate=PAGE_NUMBER,
        )["stream"]
        content = b""
        ended = False
        while not ended:
            part = browser.send("IO.read", handle=stream, size=2**20)
            content += base64.b64decode(part["data"])
            ended = part["eof"]
    content = single_titles(content)
    pdf.write_bytes(content)
    return len(content)


if __name__ == "__main__":
    if PROGRAM is None:
        raise SystemExit("there is no Chromium to print with: apt install chromium")
    page = BUILD / "singlehtml" / "intro.html"  # the whole book, named after its first page
    if not page.exists():
        raise SystemExit("the book was not built as a single page: run `make pdf`")
    if lacks_chinese():
        print(
            "no font here has Chinese letters, so boxes stand for them: apt install fonts-noto-cjk"
        )
    target = BUILD / "mmtutorial.pdf"
    size = print_page(page, target)
    print(f"The book: {target}, {size / 1e6:.1f} MB")
