# Runs the code of a Python model and makes a table of what it returns.
import json
import traceback


class This:
    def __init__(self, parts):
        self.database = parts["database"]
        self.schema = parts["schema"]
        self.identifier = parts["identifier"]
        self._quoted = parts["quoted"]

    def __repr__(self):
        return self._quoted


class Config:
    def __init__(self, values):
        self._values = values

    def __call__(self, **_settings):
        # Read when the project was compiled.
        return None

    def get(self, key, default=None):
        value = self._values.get(key)
        return default if value is None else value

    def meta_get(self, key, default=None):
        return (self._values.get("meta") or {}).get(key, default)


class Dbt:
    def __init__(self, job, connection):
        self._job = job
        self._connection = connection
        self.this = This(job["this"])
        self.config = Config(job["config"])
        self.is_incremental = job["is_incremental"]

    def _relation(self, known, kind, parts):
        name = ".".join(str(part) for part in parts)
        if name not in known:
            raise ValueError(f"{kind}({name!r}) is not among what the model depends on: {sorted(known)}")
        return self._connection.query(f"select * from {known[name]}")

    def ref(self, *parts, version=None, v=None):
        version = v if version is None else version
        if version is not None:
            parts = (*parts, f"v{version}")
        return self._relation(self._job["refs"], "ref", parts)

    def source(self, *parts):
        return self._relation(self._job["sources"], "source", parts)


def run(job):
    job = json.loads(job)
    try:
        import duckdb
    except ImportError:
        return {"error": "the package `duckdb` is not installed in the project's environment; Python models need it"}
    connection = duckdb.connect(job["database"])
    try:
        for statement in job["setup"]:
            connection.execute(statement)
        names = {"__name__": job["name"], "__file__": job["path"]}
        exec(compile(job["code"], job["path"], "exec"), names)
        result = names["model"](Dbt(job, connection), connection)
        connection.register("mxcp_model_rows", result)
        connection.execute(f"create or replace table {job['target']} as select * from mxcp_model_rows")
        connection.unregister("mxcp_model_rows")
        return {}
    except Exception:
        return {"error": traceback.format_exc()}
    finally:
        connection.close()
