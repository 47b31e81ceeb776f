/* src/http/tests/raw.c - TLS by GnuTLS, without HTTP. */
#include "raw.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void raw_open(struct raw *r, const struct world *w, unsigned port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    gnutls_datum_t cert = { (unsigned char *)w->client_pem, (unsigned)strlen(w->client_pem) };
    gnutls_datum_t key = { NULL, 0 };
    char *pem = NULL;

    xeno_key_pem(w->client_key, &pem, NULL);
    key.data = (unsigned char *)pem;
    key.size = (unsigned)strlen(pem);
    r->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(r->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        _exit(100);
    gnutls_certificate_allocate_credentials(&r->cred);
    gnutls_certificate_set_x509_key_mem(r->cred, &cert, &key, GNUTLS_X509_FMT_PEM);
    gnutls_init(&r->session, GNUTLS_CLIENT);
    gnutls_set_default_priority(r->session);
    gnutls_credentials_set(r->session, GNUTLS_CRD_CERTIFICATE, r->cred);
    gnutls_transport_set_int(r->session, r->fd);
    if (gnutls_handshake(r->session) < 0)
        _exit(101);
}

void raw_send(struct raw *r, const char *text)
{
    if (gnutls_record_send(r->session, text, strlen(text)) < 0)
        _exit(102);
}

int raw_status(struct raw *r, char *buf, size_t room)
{
    size_t len = 0;
    int status = 0;

    while (len + 1 < room) {
        ssize_t n = gnutls_record_recv(r->session, buf + len, room - len - 1);

        if (n <= 0)
            break;
        len += (size_t)n;
        buf[len] = '\0';
    }
    buf[len] = '\0';
    sscanf(buf, "HTTP/1.1 %d", &status);
    return status;
}
