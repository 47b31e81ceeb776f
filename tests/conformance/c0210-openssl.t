#!/bin/bash
# What does OpenSSL say about our certificates, and we about its requests?
. "$(dirname "$0")/lib.sh"
need openssl
corp_start
client alice 1000000
xenod_start x1

text_of() { openssl x509 -in "$1" -noout -text; }
issued_by() { openssl verify -x509_strict -CAfile "$work/ca.pem" "$@"; }

# --- credentials ---
for who in operator alice x1; do
    ok "openssl verify accepts the credential of $who" issued_by "$work/$who/credential.pem"
done
ok "alice's is for a TLS client" issued_by -purpose sslclient "$work/alice/credential.pem"
ok "the XenoServer's is for a TLS server" issued_by -purpose sslserver "$work/x1/credential.pem"
ok "and for a TLS client, which it is to its XenoCorp" issued_by -purpose sslclient "$work/x1/credential.pem"
not_ok "alice's is not for a TLS server" issued_by -purpose sslserver "$work/alice/credential.pem"
ok "the XenoServer's is for its address" issued_by -verify_ip 127.0.0.1 "$work/x1/credential.pem"
not_ok "and for no other" issued_by -verify_ip 127.0.0.2 "$work/x1/credential.pem"
not_ok "a credential is no CA" openssl verify -CAfile "$work/alice/credential.pem" -partial_chain "$work/x1/credential.pem"

text=$(text_of "$work/alice/credential.pem")
like "$text" 'Version: 3' "X.509 version 3"
like "$text" 'Signature Algorithm: ED25519' "signed by Ed25519"
like "$text" 'Public Key Algorithm: ED25519' "for an Ed25519 key"
like "$text" "URI:xeno:client:$(id_of alice)" "it says whose it is, and that it is a client's"
like "$text" 'CA:FALSE' "basic constraints say that it is no CA"
like "$(text_of "$work/x1/credential.pem")" "URI:xeno:server:$(id_of x1)" "a XenoServer's says so"
like "$(text_of "$work/operator/credential.pem")" 'URI:xeno:attr:role=operator' "an operator's has that attribute"

# The id is base32 of the first 20 bytes of SHA-256 over the public key.
id=$(openssl pkey -in "$work/alice/key.pem" -pubout -outform DER | tail -c 32 |
    openssl dgst -sha256 -binary | head -c 20 | base32 | tr A-Z a-z)
is "$id" "$(id_of alice)" "the id is that of the key"
ca=$(openssl x509 -in "$work/ca.pem" -noout -pubkey | openssl pkey -pubin -outform DER | tail -c 32 |
    openssl dgst -sha256 -binary | head -c 20 | base32 | tr A-Z a-z)
is "$ca" "$corp" "so is the XenoCorp's, which the token names"
like "$(text_of "$work/ca.pem")" 'CA:TRUE' "the CA's certificate is a CA's"
ok "it verifies itself" openssl verify -x509_strict -CAfile "$work/ca.pem" "$work/ca.pem"
ok "and lasts longer than a day" openssl x509 -in "$work/ca.pem" -noout -checkend 86400
not_ok "a credential does not" openssl x509 -in "$work/alice/credential.pem" -noout -checkend 86401
ok "but nearly" openssl x509 -in "$work/alice/credential.pem" -noout -checkend 80000

# --- keys we made, read by OpenSSL ---
ok "OpenSSL reads a key of ours" openssl pkey -in "$work/x1/key.pem" -noout -text
is "$(openssl pkey -in "$work/x1/key.pem" -pubout)" \
    "$(openssl x509 -in "$work/x1/credential.pem" -noout -pubkey)" "and it fits its certificate"

# --- requests ---
renewed() { # renewed CSR: the status of asking for a new credential with it, anonymously
    json - POST "$corp_url/v1/credentials/renew" "$(jq -n --rawfile csr "$1" '{$csr}')"
}
renewed "$work/alice/csr.pem"
is "$status" 200 "a request by the key of a party renews its credential"
jq -r .certificate <<<"$body" >"$work/new.pem"
ok "which verifies" issued_by "$work/new.pem"
openssl genpkey -algorithm ed25519 -out "$work/stranger.pem" 2>/dev/null
openssl req -new -key "$work/stranger.pem" -subj /CN=x -out "$work/stranger.csr" 2>/dev/null
renewed "$work/stranger.csr"
is "$status" 404 "one by a stranger's key does not"
openssl genrsa -out "$work/rsa.pem" 2048 2>/dev/null
openssl req -new -key "$work/rsa.pem" -subj /CN=x -out "$work/rsa.csr" 2>/dev/null
renewed "$work/rsa.csr"
is "$status $(jq -r .type <<<"$body")" "400 x509.csr" "an RSA key is refused"
openssl req -in "$work/alice/csr.pem" -outform DER -out "$work/csr.der"
# the last byte is the signature's
{ head -c -1 "$work/csr.der"; printf '\x55'; } | openssl base64 | {
    echo '-----BEGIN CERTIFICATE REQUEST-----'
    cat
    echo '-----END CERTIFICATE REQUEST-----'
} >"$work/forged.csr"
renewed "$work/forged.csr"
is "$status $(jq -r .type <<<"$body")" "400 x509.csr" "so is a request with a wrong signature"

# --- a stranger's CA of the same name gets nowhere ---
openssl req -x509 -new -key "$work/stranger.pem" -subj "/CN=$corp" -days 2 -out "$work/fake-ca.pem" 2>/dev/null
mkdir -p "$work/mallory"
cp "$work/alice/csr.pem" "$work/mallory/csr.pem"
cp "$work/alice/key.pem" "$work/mallory/key.pem"
printf 'subjectAltName=URI:xeno:client:%s\nextendedKeyUsage=clientAuth\n' "$(id_of alice)" >"$work/ext"
openssl x509 -req -in "$work/alice/csr.pem" -CA "$work/fake-ca.pem" -CAkey "$work/stranger.pem" \
    -CAcreateserial -days 1 -extfile "$work/ext" -out "$work/mallory/credential.pem" 2>/dev/null
call mallory GET "$corp_url/v1/account"
is "$status $(jq -r .type <<<"$body")" "401 x509.untrusted" "a certificate by a CA that only has our name"
call mallory GET "$server_url/v1/sessions"
is "$status" 401 "at a XenoServer, too"
done_testing
