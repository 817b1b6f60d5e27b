"""Static files under names that change with their content."""

from collections.abc import Iterable, Iterator

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):
    """Also where one script imports another, so that an old one never meets a new one."""

    support_js_module_import_aggregation = True


class UncompressedFiles(HashedFiles):
    """For a shop on one's own machine, which collects them at each start: to compress them as small as they
    get takes a minute of processor time.
    """

    def compress_files(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        return iter(())
