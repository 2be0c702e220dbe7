// What a server answers, to the client's end of HTTPS.
#include "tests/unit/shared_http/https_connection_fixture.h"

namespace sidetap::http {
namespace {

TEST_F(HttpsConnectionTest, CarriesOneRequestAfterTheOther) {
  std::vector<std::string> requests;
  serve_with([&](TlsPeer& peer) {
    for (const char* body : {"first", "", "third"}) {
      requests.push_back(peer.request());
      peer.send(of_length(body));
    }
    peer.wait_for_end();
  });
  EXPECT_EQ(ask(), "200 first");
  EXPECT_TRUE(connection_->reusable());
  EXPECT_EQ(ask({.method = "PUT",
                 .target = "/z",
                 .host = "server:443",
                 .token = "t0ken",
                 .content_type = "text/plain",
                 .body = "mine"}),
            "200 ");
  EXPECT_EQ(ask(), "200 third");
  connection_.reset();
  server_.reset();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_THAT(requests[0], AllOf(StartsWith("GET /x?y=1 HTTP/1.1\r\nHost: server\r\n"),
                                 EndsWith("Accept: application/json\r\n\r\n")));
  EXPECT_THAT(requests[1],
              AllOf(HasSubstr("Authorization: Bearer t0ken\r\n"),
                    EndsWith("Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nmine")));
}

TEST_F(HttpsConnectionTest, ReadsChunksHoweverTheyArrive) {
  const std::string answer = kChunkedHead + chunk("one ") + chunk("two ") +
                             chunk(std::string(70'000, 'x')) + "0\r\nTrailer: x\r\n\r\n";
  serve_with([&](TlsPeer& peer) {
    peer.request();
    // The first bytes one by one: the head, and two chunks.
    for (std::size_t at = 0; at < 80; ++at) peer.send(answer.substr(at, 1));
    peer.send(answer.substr(80));
    peer.wait_for_end();
  });
  EXPECT_EQ(ask(), "200 one two " + std::string(70'000, 'x'));
  EXPECT_TRUE(connection_->reusable());
}

TEST_F(HttpsConnectionTest, GivesOutWhatHasComeOfABodyThatGoesOn) {
  serve(kChunkedHead + chunk("one"));
  const auto first = [&]() -> asio::awaitable<std::string> {
    const auto status = co_await connection_->ask(kGet, std::nullopt, kLong);
    EXPECT_TRUE(status);
    const auto piece = co_await connection_->read(kLong);
    co_return piece && !piece->last ? piece->bytes : "nothing";
  };
  EXPECT_EQ(run(first()), "one");
}

TEST_F(HttpsConnectionTest, TheEndOfTheConnectionEndsABodyOfUnknownLength) {
  serve_and_end("HTTP/1.1 200 OK\r\n\r\nall of it", true);
  EXPECT_EQ(ask(), "200 all of it");
  EXPECT_FALSE(connection_->reusable());
}

TEST_F(HttpsConnectionTest, AnEndThatAnyoneMayHaveMadeIsAnError) {
  serve_and_end("HTTP/1.1 200 OK\r\n\r\npart of it", false);
  EXPECT_THAT(ask(), StartsWith("200 part of it| read: "));
}

TEST_F(HttpsConnectionTest, AHeadWithoutEndIsRefused) {
  std::string fields;
  while (fields.size() < 40'000) fields += "Field: value\r\n";
  for (const std::string& head : {fields, "Field: " + std::string(40'000, 'x')}) {
    serve("HTTP/1.1 200 OK\r\n" + head);
    EXPECT_THAT(ask(), AllOf(StartsWith("read: "), testing::Not(HasSubstr("timed out"))));
  }
}

TEST_F(HttpsConnectionTest, ChunksWithoutSenseAreRefused) {
  serve(kChunkedHead + "4;" + std::string(100'000, 'x'));
  EXPECT_THAT(ask(), StartsWith("200 | read: "));
}

TEST_F(HttpsConnectionTest, ABodyOverTheLimitIsRefusedByItsHead) {
  serve(of_length(std::string(101, 'x')));
  EXPECT_THAT(ask(kGet, 100), StartsWith("read: "));
}

TEST_F(HttpsConnectionTest, ABodyOverTheLimitIsRefusedAsItComes) {
  serve(kChunkedHead + chunk(std::string(60, 'x')) + chunk(std::string(60, 'x')) + chunk(""));
  EXPECT_THAT(ask(kGet, 100), HasSubstr("| read: "));
}

TEST_F(HttpsConnectionTest, ABodyAtTheLimitIsTaken) {
  serve(of_length(std::string(100, 'x')));
  EXPECT_EQ(ask(kGet, 100), "200 " + std::string(100, 'x'));
}

TEST_F(HttpsConnectionTest, NoRoomIsMadeForWhatIsOnlyAnnounced) {
  serve("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\nlittle");
  EXPECT_EQ(ask(kGet, std::nullopt, kShort), "200 little| read: timed out");
}

TEST_F(HttpsConnectionTest, AnEndBeforeAnyAnswerCanBeAskedAgainElsewhere) {
  serve_and_end("", true);
  EXPECT_THAT(ask(), AllOf(StartsWith("read: "), testing::Not(HasSubstr("timed out"))));
  EXPECT_TRUE(connection_->unanswered());
}

TEST_F(HttpsConnectionTest, AnEndWithinTheHeadCannot) {
  serve_and_end("HTTP/1.1 200", true);
  EXPECT_THAT(ask(), StartsWith("read: "));
  EXPECT_FALSE(connection_->unanswered());
}

TEST_F(HttpsConnectionTest, AnEndWithinTheBodyIsAnError) {
  serve_and_end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true);
  EXPECT_THAT(ask(), StartsWith("200 half| read: "));
  EXPECT_FALSE(connection_->reusable());
}

TEST_F(HttpsConnectionTest, WhatIsNoAnswerIsAnError) {
  const std::vector<std::string> rubbish{
      "garbage\r\n\r\n",
      std::string(200, '\0') + "\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/9.1 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
      "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
      kChunkedHead + "sixteen\r\n",
      kChunkedHead + "fffffffffffffffff\r\n",
      kChunkedHead + "1\r\nxyz\r\n0\r\n\r\n"};
  for (const auto& bytes : rubbish) {
    serve(bytes);
    EXPECT_THAT(ask(kGet, 100), AllOf(HasSubstr("read: "), testing::Not(HasSubstr("timed out"))))
        << bytes;
    EXPECT_FALSE(connection_->reusable()) << bytes;
    connection_.reset();
  }
}

TEST_F(HttpsConnectionTest, AServerThatSaysMoreThanItsAnswerIsNotAskedAgain) {
  serve(of_length("x") + of_length("not asked for"));
  EXPECT_EQ(ask(), "200 x");
  EXPECT_FALSE(connection_->reusable());
  EXPECT_THAT(ask(), StartsWith("write: "));
}

TEST_F(HttpsConnectionTest, AServerThatClosesIsNotAskedAgain) {
  serve(of_length("x", "Connection: close\r\n"));
  EXPECT_EQ(ask(), "200 x");
  EXPECT_FALSE(connection_->reusable());
}

TEST_F(HttpsConnectionTest, FieldsThatHoldALineBreakAreNotSent) {
  std::string seen;
  serve_with([&](TlsPeer& peer) { seen = peer.request(); });
  HttpsRequest request = kGet;
  request.token = "a\r\nX: y";
  EXPECT_THAT(ask(request), AllOf(StartsWith("request: "), HasSubstr("token")));
  request = kGet;
  request.target = "/a b";
  EXPECT_THAT(ask(request), StartsWith("request: "));
  request.target = "x";
  EXPECT_THAT(ask(request), StartsWith("request: "));
  request = kGet;
  request.host = "a\nb";
  EXPECT_THAT(ask(request), StartsWith("request: "));
  request = kGet;
  request.content_type = std::string_view("a\0b", 3);
  EXPECT_THAT(ask(request), StartsWith("request: "));
  connection_.reset();
  server_.reset();
  EXPECT_EQ(seen, "");
}

}  // namespace
}  // namespace sidetap::http
