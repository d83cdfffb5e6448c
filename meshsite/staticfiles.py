from whitenoise.storage import CompressedManifestStaticFilesStorage


class ModuleStorage(CompressedManifestStaticFilesStorage):
    """Names with the hash of their content, also in the imports between JavaScript modules."""

    support_js_module_import_aggregation = True
