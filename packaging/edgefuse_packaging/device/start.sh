main() {
    export LC_ALL=C
    if [ ! -f "$0" ]; then
        refuse "start this file by its name: sh FILE"
    fi
    if [ "$(uname -s)" != Linux ] || [ "$(uname -m)" != "$MACHINE" ]; then
        refuse "this file is for Linux on $MACHINE, and this is $(uname -s) on $(uname -m); make one for it."
    fi
    for version in $PYTHONS; do
        for python in "${EDGEFUSE_PYTHON:-python$version}" python3; do
            if "$python" -I -c "$IS_FIT" "$version" 2>/dev/null; then
                exec "$python" -I -c "$GO_ON" "$0" "$@"
            fi
        done
    done
    refuse "this device has no complete Python $(echo "$PYTHONS" | sed 's/ / or /g'); install one, or carry one for its Python."
}

refuse() {
    echo "edgefuse: $1" >&2
    exit 2
}

IS_FIT='
import sys, ctypes, email, fcntl, hashlib, json, multiprocessing, sqlite3, tarfile, zipfile
sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])
'

GO_ON='
import hashlib, json, sys
with open(sys.argv[1], "rb") as file:
    head = file.read(65536)
said, rest = head.split(b"\n", 2)[1:] if head.count(b"\n") > 1 else (b"", b"")
if len(head) != 65536 or said[2:] != hashlib.sha256(rest).hexdigest().encode():
    print("edgefuse: the beginning of this file is damaged; copy it again.", file=sys.stderr)
    sys.exit(2)
programs, _, facts = rest.partition(b"\n#PROGRAM\n")[2].partition(b"\n#FACTS\n")
modules, package = sys.modules, "edgefuse_packaging.device"
for name in ("edgefuse_packaging", package):
    modules[name] = type(sys)(name)
    modules[name].__path__ = []
for program in programs.split(b"\n#MODULE ")[1:]:
    name, _, source = program.partition(b"\n")
    module = modules[package + "." + name.decode()] = type(sys)(package + "." + name.decode())
    exec(compile(source, name.decode() + ".py", "exec"), vars(module))
sys.exit(module.main(sys.argv[1:], json.loads(facts)))
'

main "$@"
exit 1
