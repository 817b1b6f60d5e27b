"""Static files under names that change with their content."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):
    """Also where one script imports another, so that an old one never meets a new one."""

    support_js_module_import_aggregation = True
