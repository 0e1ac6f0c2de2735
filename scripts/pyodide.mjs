// Tests run by CPython in WebAssembly: node pyodide.mjs PACKAGES SOURCE PYTEST_ARGUMENT..
// PACKAGES is a folder with what pip has unpacked, SOURCE the folder that the tests are run in.
import { loadPyodide } from "pyodide";

const [packages, source, ...pytest] = process.argv.slice(2);
const python = await loadPyodide({ env: { HOME: "/tmp", NEXUSQL_EXPECT: "python" } });
for (const [inside, folder] of [["/packages", packages], ["/source", source]]) {
  python.FS.mkdirTree(inside);
  python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, inside);
}
python.globals.set("arguments", python.toPy(pytest));
process.exitCode = python.runPython(`
import os, sys
sys.path.insert(0, "/packages")
os.chdir("/source")
import pytest
int(pytest.main(["-p", "no:cacheprovider", *arguments]))
`);
