# tests/lib/swift.sh - OpenStack's Swift with its S3 interface on loopback: an object store made by
# others. Source tap.sh and corp.sh first.
#
#     swift_make                  rings and configurations in $work/swift, on ports of its own
#     swift_start                 starts it; $swift is http://HOST:PORT, $swift_pids
#     s3 METHOD PATH [FILE]       asks it; s3_keys BUCKET lists its keys
#     $work/s3-keys               the keys, as xstored --s3-keys wants them
swift_servers=(account container object proxy)

# Four rings of one device, which is a folder; in one process, since each takes a second to begin.
swift_rings() {
    /usr/bin/python3 -I - "$work/swift" "$@" <<'END'
import sys
from swift.common.ring import RingBuilder
where = sys.argv[1]
for kind, port in zip(("account", "container", "object"), sys.argv[2:]):
    b = RingBuilder(4, 1, 0)
    b.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="d1", weight=1))
    b.rebalance()
    b.get_ring().save("%s/%s.ring.gz" % (where, kind))
END
}

swift_conf() { # KIND PORT PIPELINE
    cat <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $2
workers = 0
user = root
swift_dir = $work/swift
devices = $work/swift/srv
mount_check = false
fallocate_reserve = 0
log_level = ERROR
log_address = $work/swift/no-log
[pipeline:main]
pipeline = $3
[app:$1-server]
use = egg:swift#$1
account_autocreate = true
END
}

# Its filters; memcached is not there, and not needed.
swift_filters() {
    local f
    for f in catch_errors gatekeeper cache listing_formats bulk s3api tempauth slo; do
        echo "[filter:$f]"
        echo "use = egg:swift#${f/cache/memcache}"
    done
}

swift_make() {
    local kind ports=()
    mkdir -p "$work/swift/srv/d1"
    printf '[swift-hash]\nswift_hash_path_suffix = a\nswift_hash_path_prefix = b\n' >"$work/swift/swift.conf"
    for kind in account container object; do
        ports+=("$(free_port)")
        swift_conf $kind "${ports[-1]}" "$kind-server" >"$work/swift/$kind.conf"
    done
    swift=http://127.0.0.1:$(free_port)
    {
        swift_conf proxy "${swift##*:}" "catch_errors gatekeeper cache listing_formats bulk s3api tempauth slo proxy-server"
        swift_filters
    } | sed -e 's/^use = egg:swift#s3api$/&\nlocation = us-east-1/' \
        -e 's/^use = egg:swift#tempauth$/&\nuser_test_tester = testing .admin/' \
        -e 's/^use = egg:swift#memcache$/&\nmemcache_servers = 127.0.0.1:1/' >"$work/swift/proxy.conf"
    (umask 077 && printf 'test:tester\ntesting\n' >"$work/s3-keys")
    swift_rings "${ports[@]}" 2>"$work/rings.log" || bail "no rings for swift" "$(cat "$work/rings.log")"
}

swift_start() {
    local kind
    swift_pids=()
    for kind in "${swift_servers[@]}"; do
        background "swift-$kind" "swift-$kind-server" "$work/swift/$kind.conf"
        swift_pids+=("$pid")
    done
    wait_for 30 swift_answers || bail "swift does not answer" "$(tail -n 5 "$work"/swift-*.log)"
}
swift_answers() {
    local p
    for p in $(sed -n 's/^bind_port = //p' "$work"/swift/*.conf); do
        [ -n "$(ss -Hltn "sport = :$p")" ] || return 1
    done
}

# s3 METHOD PATH [FILE]: a request signed by code that is not what is tested; prints the answer's body.
s3() {
    /usr/bin/python3 -I - "$swift" "$@" <<'END'
import datetime, hashlib, hmac, http.client, sys, urllib.parse
base, method, path = sys.argv[1:4]
body = open(sys.argv[4], "rb").read() if len(sys.argv) > 4 else b""
host, region = base.split("//")[1], "us-east-1"
path, _, query = path.partition("?")
now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
scope = "%s/%s/s3/aws4_request" % (now[:8], region)
head = {"host": host, "x-amz-content-sha256": hashlib.sha256(body).hexdigest(), "x-amz-date": now}
names = ";".join(sorted(head))
canonical = "\n".join([method, path, query] + ["%s:%s" % h for h in sorted(head.items())] +
                      ["", names, head["x-amz-content-sha256"]])
text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
key = b"AWS4testing"
for part in scope.split("/"):
    key = hmac.new(key, part.encode(), hashlib.sha256).digest()
head["Authorization"] = "AWS4-HMAC-SHA256 Credential=test:tester/%s, SignedHeaders=%s, Signature=%s" % (
    scope, names, hmac.new(key, text.encode(), hashlib.sha256).hexdigest())
c = http.client.HTTPConnection(host, timeout=20)
c.request(method, path + ("?" + query if query else ""), body, head)
r = c.getresponse()
sys.stdout.buffer.write(r.read())
sys.exit(r.status // 100 != 2)
END
}

# The keys of a bucket, one a line.
s3_keys() { s3 GET "/$1/?list-type=2" | grep -o '<Key>[^<]*' | cut -c6-; }
