// OpenSSL 3 for Swift: its headers, and as functions the macros and variadic calls that Swift cannot import.
#pragma once
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// SSL_CTX settings that are macros over SSL_CTX_ctrl.
static inline int mesh_ctx_set_min_version(SSL_CTX *ctx, int version) {
    return (int)SSL_CTX_set_min_proto_version(ctx, version);
}
static inline int mesh_ctx_set_max_version(SSL_CTX *ctx, int version) {
    return (int)SSL_CTX_set_max_proto_version(ctx, version);
}
static inline void mesh_ctx_set_mode(SSL_CTX *ctx, long mode) { (void)SSL_CTX_set_mode(ctx, mode); }
static inline void mesh_ctx_set_no_session_cache(SSL_CTX *ctx) {
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}
static inline void mesh_ctx_set_max_cert_list(SSL_CTX *ctx, long bytes) {
    (void)SSL_CTX_set_max_cert_list(ctx, bytes);
}
static inline int mesh_ctx_set_groups(SSL_CTX *ctx, const char *list) {
    return (int)SSL_CTX_set1_groups_list(ctx, list);
}
static inline int mesh_ctx_set_signature_algorithms(SSL_CTX *ctx, const char *list) {
    return (int)SSL_CTX_set1_sigalgs_list(ctx, list);
}
static inline int mesh_ctx_add_chain_certificate(SSL_CTX *ctx, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(ctx, certificate);
}
static inline void mesh_ctx_set_server_name_callback(SSL_CTX *ctx, int (*callback)(SSL *, int *, void *)) {
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, callback);
}
static inline int mesh_ssl_set_server_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

// SSL_OP_ constants are computed with shifts and casts.
static inline void mesh_ctx_set_options(SSL_CTX *ctx) {
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
}

// Variadic.
static inline EVP_PKEY *mesh_generate_p256(void) { return EVP_EC_gen("P-256"); }

// Typed stacks are macros.
static inline int mesh_names_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
static inline GENERAL_NAME *mesh_names_at(const GENERAL_NAMES *names, int index) {
    return sk_GENERAL_NAME_value(names, index);
}
static inline int mesh_names_push(GENERAL_NAMES *names, GENERAL_NAME *name) {
    return sk_GENERAL_NAME_push(names, name);
}
static inline STACK_OF(X509) *mesh_certificates_new(void) { return sk_X509_new_null(); }
// The stack does not own its certificates.
static inline int mesh_certificates_push(STACK_OF(X509) *stack, X509 *certificate) {
    return sk_X509_push(stack, certificate);
}
static inline void mesh_certificates_free(STACK_OF(X509) *stack) { sk_X509_free(stack); }
static inline STACK_OF(X509_EXTENSION) *mesh_extensions_new(void) { return sk_X509_EXTENSION_new_null(); }
static inline void mesh_extensions_free(STACK_OF(X509_EXTENSION) *stack) {
    sk_X509_EXTENSION_pop_free(stack, X509_EXTENSION_free);
}

static inline long mesh_bio_memory_bytes(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }
