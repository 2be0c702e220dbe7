#include "webhook/certificates/x509.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "shared/http/openssl.h"

namespace sidetap::certificates {
namespace {

using http::Bio;
using http::Certificate;
using http::Key;
using http::openssl_error;
using Names = std::unique_ptr<GENERAL_NAMES, http::OpensslDeleter<GENERAL_NAMES_free>>;
using Number = std::unique_ptr<BIGNUM, http::OpensslDeleter<BN_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, http::OpensslDeleter<X509_EXTENSION_free>>;

Certificate parse_certificate(const std::string& text) {
  Certificate certificate = http::next_certificate(http::reader_of(text).get());
  ERR_clear_error();
  return certificate;
}

std::string pem_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return pem_of(bio.get());
}

Pair to_text(X509* certificate, EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return {pem_of(certificate), pem_of(bio.get())};
}

TimePoint time_point(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return Clock::from_time_t(::timegm(&parts));
}

bool add(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, of full length
  const Number number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

/// A certificate without issuer, extensions and signature.
Certificate blank(EVP_PKEY* key, const std::string& name, TimePoint from, TimePoint to) {
  Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), 2) != 1 ||
      !set_serial(certificate.get()) || X509_set_pubkey(certificate.get(), key) != 1) {
    return nullptr;
  }
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), Clock::to_time_t(from));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), Clock::to_time_t(to));
  // A common name has at most 64 characters. Clients check only the alternative names.
  const std::string short_name = name.substr(0, 64);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(short_name.c_str()), -1, -1, 0);
  return certificate;
}

}  // namespace

Result<Pair> make_authority(const std::string& name, TimePoint now, std::chrono::seconds life) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("cannot create a key");
  const Certificate certificate = blank(key.get(), name, now - kBackdate, now + life);
  if (!certificate) return openssl_error("cannot create a certificate");
  X509* raw = certificate.get();
  X509_set_issuer_name(raw, X509_get_subject_name(raw));
  if (!add(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add(raw, raw, NID_subject_key_identifier, "hash") ||
      X509_sign(raw, key.get(), EVP_sha256()) == 0) {
    return openssl_error("cannot create an authority");
  }
  return to_text(raw, key.get());
}

Result<Pair> issue_leaf(const Pair& authority, const std::vector<std::string>& dns_names,
                        TimePoint now, std::chrono::seconds life) {
  const Certificate issuer = parse_certificate(authority.certificate);
  const auto issuer_key = http::read_key(authority.key);
  if (!issuer || !issuer_key) return Error{"the authority cannot be read"};
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("cannot create a key");
  const TimePoint end = std::min(now + life, time_point(X509_get0_notAfter(issuer.get())));
  const Certificate certificate = blank(key.get(), dns_names.front(), now - kBackdate, end);
  if (!certificate) return openssl_error("cannot create a certificate");
  X509* raw = certificate.get();
  X509_set_issuer_name(raw, X509_get_subject_name(issuer.get()));
  std::string names;
  for (const auto& name : dns_names) names += (names.empty() ? "DNS:" : ",DNS:") + name;
  if (!add(raw, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add(raw, issuer.get(), NID_key_usage, "critical,digitalSignature") ||
      !add(raw, issuer.get(), NID_ext_key_usage, "serverAuth") ||
      !add(raw, issuer.get(), NID_subject_alt_name, names) ||
      !add(raw, issuer.get(), NID_subject_key_identifier, "hash") ||
      !add(raw, issuer.get(), NID_authority_key_identifier, "keyid:always") ||
      X509_sign(raw, issuer_key->get(), EVP_sha256()) == 0) {
    return openssl_error("cannot issue a certificate");
  }
  return to_text(raw, key.get());
}

Result<std::string> cross_sign(const Pair& signer, const std::string& authority, TimePoint now) {
  const Certificate issuer = parse_certificate(signer.certificate);
  const auto issuer_key = http::read_key(signer.key);
  const Certificate subject = parse_certificate(authority);
  if (!issuer || !issuer_key || !subject) return Error{"an authority cannot be read"};
  const TimePoint end = std::min(time_point(X509_get0_notAfter(issuer.get())),
                                 time_point(X509_get0_notAfter(subject.get())));
  if (end <= now) return Error{"an authority has ended"};
  const Certificate certificate = blank(X509_get0_pubkey(subject.get()), {}, now - kBackdate, end);
  if (!certificate) return openssl_error("cannot create a certificate");
  X509* raw = certificate.get();
  X509_set_subject_name(raw, X509_get_subject_name(subject.get()));
  X509_set_issuer_name(raw, X509_get_subject_name(issuer.get()));
  if (!add(raw, issuer.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add(raw, issuer.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add(raw, issuer.get(), NID_subject_key_identifier, "hash") ||
      !add(raw, issuer.get(), NID_authority_key_identifier, "keyid:always") ||
      X509_sign(raw, issuer_key->get(), EVP_sha256()) == 0) {
    return openssl_error("cannot sign an authority");
  }
  return pem_of(certificate.get());
}

std::string rest_of_chain(const std::string& certificates, TimePoint now) {
  const Bio bio = http::reader_of(certificates);
  std::string rest;
  bool first = true;
  for (; const auto certificate = http::next_certificate(bio.get()); first = false) {
    if (!first && now < time_point(X509_get0_notAfter(certificate.get()))) {
      rest += pem_of(certificate.get());
    }
  }
  ERR_clear_error();
  return rest;
}

std::optional<Facts> read_facts(const std::string& text) {
  const Certificate certificate = parse_certificate(text);
  if (!certificate) return std::nullopt;
  Facts facts;
  facts.not_before = time_point(X509_get0_notBefore(certificate.get()));
  facts.not_after = time_point(X509_get0_notAfter(certificate.get()));
  facts.authority = X509_check_ca(certificate.get()) == 1;
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const ASN1_IA5STRING* text_name = name->d.dNSName;
    facts.dns_names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text_name)),
                                 static_cast<std::size_t>(ASN1_STRING_length(text_name)));
  }
  return facts;
}

bool key_fits(const Pair& pair) {
  const Certificate certificate = parse_certificate(pair.certificate);
  const auto key = http::read_key(pair.key);
  const bool fits =
      certificate && key && X509_check_private_key(certificate.get(), key->get()) == 1;
  ERR_clear_error();
  return fits;
}

bool is_signed_by(const std::string& certificate_text, const std::string& authority_text) {
  const Certificate certificate = parse_certificate(certificate_text);
  const Certificate authority = parse_certificate(authority_text);
  if (!certificate || !authority) return false;
  const bool is = X509_check_issued(authority.get(), certificate.get()) == X509_V_OK &&
                  X509_verify(certificate.get(), X509_get0_pubkey(authority.get())) == 1;
  ERR_clear_error();
  return is;
}

}  // namespace sidetap::certificates
