/* The load generator: clients and the server behind the proxy, in one process and one epoll loop.
 *
 * Every load is exchanges: a client sends `--out` bytes, the server answers with `--in` bytes, `--rounds` times a
 * connection. Short connections, ping-pong and bulk are the same thing with other numbers. With `--hello` a real TLS
 * ClientHello (RFC 8446) of that many bytes goes first; the server swallows it.
 *
 * Bytes are checked: a request begins with the number of its exchange, and what follows it, and the answer, are the
 * section of a fixed pattern that belongs to that number. So bytes that are lost, doubled, or of another connection
 * show. One line of JSON tells what came of it: exchanges, errors by kind, latencies.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PATTERN = 1 << 20, PORTION = 1 << 18, LARGEST_HELLO = 4096, NUMBER = 4, BATCH = 256 };

/* ---- What is to be done ---- */

static struct {
  int listen_port, target_port, source; /* source: last byte of the clients' 127.0.0.x; 0 leaves it to the kernel */
  int connections, hello, names, rounds, duplex, hold, think_ms, timeout_ms;
  uint64_t out, in, count;
  double seconds;
} want = {.connections = 1, .rounds = 1, .out = 100, .in = 1024, .count = UINT64_MAX, .timeout_ms = 10000};

/* ---- What came of it ---- */

enum { SUB_BITS = 7, SUB = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS) * SUB };
/* A high dynamic range histogram: buckets are 1/128 of their value wide at most. */
struct histogram {
  uint64_t count[BUCKETS], total, sum, maximum;
};
enum { CONNECTING, EXCHANGING, LATENCIES };
static struct histogram latency[LATENCIES];

static const char *const error_names[] = {"connect", "reset", "send", "receive", "cut", "wrong_bytes", "timeout", "local"};
enum error { E_CONNECT, E_RESET, E_SEND, E_RECEIVE, E_CUT, E_WRONG, E_TIMEOUT, E_LOCAL, ERRORS };
static uint64_t errors[ERRORS], exchanges, completed, started, served, bytes_out, bytes_in;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned bucket_of(uint64_t value) {
  if (value < SUB) return (unsigned)value;
  unsigned shift = 63u - (unsigned)__builtin_clzll(value) - SUB_BITS;
  return (shift + 1) * SUB + (unsigned)(value >> shift) - SUB;
}

static uint64_t value_of(unsigned bucket) {
  if (bucket < SUB) return bucket;
  unsigned shift = bucket / SUB - 1;
  return (uint64_t)(bucket % SUB + SUB) << shift;
}

static void record(struct histogram *h, uint64_t value) {
  h->count[bucket_of(value)]++;
  h->total++;
  h->sum += value;
  if (value > h->maximum) h->maximum = value;
}

static uint64_t percentile(const struct histogram *h, double fraction) {
  uint64_t rank = (uint64_t)(fraction * (double)h->total), seen = 0;
  for (unsigned i = 0; i < BUCKETS; i++)
    if ((seen += h->count[i]) > rank) return value_of(i);
  return h->maximum;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* ---- Bytes ---- */

static unsigned char pattern[PATTERN + PORTION], arrived[PORTION];

static void make_pattern(void) {
  uint64_t x = 0x9e3779b97f4a7c15u;
  for (int i = 0; i < PATTERN; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    pattern[i] = (unsigned char)x;
  }
  memcpy(pattern + PATTERN, pattern, PORTION);
}

/* The pattern from a stream's position on. */
static const unsigned char *section(uint32_t number, uint64_t position) {
  return pattern + ((number * 7919u + position) & (PATTERN - 1));
}

/* ---- The hello ---- */

static unsigned char hello[LARGEST_HELLO];
static unsigned char *hello_name;
static const char name_format[] = "n%06u.bench.example";

static unsigned char *put(unsigned char *at, uint64_t value, int width) {
  for (int i = width - 1; i >= 0; i--) *at++ = (unsigned char)(value >> (8 * i));
  return at;
}

static unsigned char *extension(unsigned char *at, int kind, const void *body, int length) {
  at = put(put(at, kind, 2), length, 2);
  memcpy(at, body, length);
  return at + length;
}

/* A TLS 1.3 hello as browsers send it, in one record of `size` bytes; from 1.6 KB on with the post-quantum share of
 * X25519MLKEM768. The padding extension (RFC 7685) fills up to the size. */
static void make_hello(int size) {
  int post_quantum = size >= 1600;
  unsigned char *at = hello, body[LARGEST_HELLO], *b;
  at = put(put(put(at, 22, 1), 0x0301, 2), size - 5, 2);
  at = put(put(at, 1, 1), size - 9, 3);
  at = put(at, 0x0303, 2);
  memcpy(at, pattern, 32), at += 32;
  *at++ = 32;
  memcpy(at, pattern + 32, 32), at += 32;
  static const uint16_t ciphers[] = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8};
  at = put(at, sizeof ciphers, 2);
  for (unsigned i = 0; i < sizeof ciphers / 2; i++) at = put(at, ciphers[i], 2);
  at = put(at, 0x0100, 2);
  unsigned char *lengths = at;
  at += 2;

  char name[32];
  int length = snprintf(name, sizeof name, name_format, 0);
  b = put(put(put(put(body, length + 3, 2), 0, 1), length, 2), 0, 0);
  memcpy(b, name, length);
  hello_name = at + 4 + (b - body);
  at = extension(at, 0, body, (int)(b - body) + length);
  at = extension(at, 23, "", 0);
  at = extension(at, 0xff01, "\0", 1);
  at = extension(at, 10, post_quantum ? "\0\6\x11\xec\0\x1d\0\x17" : "\0\4\0\x1d\0\x17", post_quantum ? 8 : 6);
  at = extension(at, 11, "\1\0", 2);
  at = extension(at, 35, "", 0);
  at = extension(at, 16, "\0\x0c\2h2\10http/1.1", 14);
  at = extension(at, 13, "\0\x0a\4\3\10\4\4\1\10\5\5\1", 12);
  b = put(body, post_quantum ? 1216 + 4 + 36 : 36, 2);
  if (post_quantum) {
    b = put(put(b, 0x11ec, 2), 1216, 2);
    memcpy(b, pattern + 64, 1216), b += 1216;
  }
  b = put(put(b, 0x1d, 2), 32, 2);
  memcpy(b, pattern + 2048, 32), b += 32;
  at = extension(at, 51, body, (int)(b - body));
  at = extension(at, 45, "\1\1", 2);
  at = extension(at, 43, "\4\3\4\3\3", 5);
  int padding = size - (int)(at - hello) - 4;
  if (padding < 0) fprintf(stderr, "a hello takes %d bytes at least\n", size - padding), exit(64);
  memset(body, 0, padding);
  at = extension(at, 21, body, padding);
  put(lengths, at - lengths - 2, 2);
}

/* Names follow each other in an order that no cache foresees. */
static const unsigned char *next_hello(void) {
  static uint32_t turn;
  if (want.names > 1) {
    char name[32];
    turn = turn * 1664525u + 1013904223u;
    memcpy(hello_name, name, snprintf(name, sizeof name, name_format, (turn >> 8) % (uint32_t)want.names));
  }
  return hello;
}

/* ---- Ends of connections ---- */

struct end {
  struct end *next_thinking, **me; /* `me`: where living clients are listed, so that timeouts find them */
  int fd;
  uint8_t is_server, is_connected, has_number, can_read, can_write, is_thinking;
  uint32_t number;
  uint32_t hello_left, rounds_left;
  uint64_t sent, received; /* of this exchange */
  uint64_t since, due;
};

static int poll_fd, listener;
static struct end *living[1 << 16], *thinking_first, *thinking_last, *dead;
static int living_count;
static uint32_t next_number;
static uint64_t deadline;

static void start_client(void);

static void finish_end(struct end *e) {
  if (e->fd < 0) return;
  close(e->fd);
  e->fd = -1;
  if (e->me) {
    struct end *last = living[--living_count];
    *e->me = last, last->me = e->me;
    e->me = NULL;
  }
  if (!e->is_thinking) e->next_thinking = dead, dead = e;
}

static void fail(struct end *e, enum error kind) {
  if (e->fd < 0) return;
  /* Once for a connection, and by the client: what the server sees is the other half of the same story. */
  if (!e->is_server) errors[kind]++;
  else if (kind == E_WRONG) errors[kind]++;
  int is_client = !e->is_server;
  finish_end(e);
  if (is_client) start_client();
}

static void watch(struct end *e) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = e};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, e->fd, &event)) die("epoll_ctl");
}

static void begin_exchange(struct end *e) {
  e->sent = e->received = 0;
  e->has_number = 0;
  if (e->is_server) return;
  e->number = ++next_number;
  e->since = now_ns();
}

static void start_client(void) {
  if (started >= want.count || (deadline && now_ns() >= deadline)) return;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  if (fd < 0) die("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (want.source) {
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    address.sin_addr.s_addr = htonl(0x7f000000u + (uint32_t)want.source);
    if (bind(fd, (struct sockaddr *)&address, sizeof address)) die("bind");
  }
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)want.target_port);
  struct end *e = calloc(1, sizeof *e);
  *e = (struct end){.fd = fd, .hello_left = (uint32_t)want.hello, .rounds_left = (uint32_t)want.rounds};
  started++;
  e->me = &living[living_count];
  living[living_count++] = e;
  begin_exchange(e);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
    errors[errno == EADDRNOTAVAIL ? E_LOCAL : E_CONNECT]++;
    finish_end(e);
    return;
  }
  watch(e);
}

static void accept_servers(void) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct end *e = calloc(1, sizeof *e);
    *e = (struct end){.fd = fd, .is_server = 1, .is_connected = 1, .hello_left = (uint32_t)want.hello};
    served++;
    watch(e);
  }
}

/* ---- Moving bytes ---- */

static uint64_t to_send(const struct end *e) { return e->is_server ? want.in : want.out; }
static uint64_t to_receive(const struct end *e) { return e->is_server ? want.out : want.in; }

static int may_send(const struct end *e) {
  if (e->sent >= to_send(e)) return 0;
  if (want.duplex || !e->is_server) return 1;
  return e->received == to_receive(e) && !e->is_thinking;
}

/* What the stream of this end holds at a position: in a request the number comes first. */
static uint32_t stream_number(const struct end *e, int is_answer) { return want.duplex ? 0 : e->number + (uint32_t)is_answer; }

static void send_some(struct end *e) {
  while (e->can_write && (may_send(e) || (!e->is_server && e->hello_left))) {
    ssize_t n;
    if (!e->is_server && e->hello_left) {
      /* Hello and request are separate flights of a handshake, and leave in separate calls. */
      n = send(e->fd, next_hello(), e->hello_left, MSG_NOSIGNAL);
      if (n > 0) e->hello_left -= (uint32_t)n;
    } else {
      uint64_t left = to_send(e) - e->sent, size = left < PORTION ? left : PORTION;
      const unsigned char *bytes = section(stream_number(e, e->is_server), e->sent);
      unsigned char numbered[PORTION];
      if (!e->is_server && !want.duplex && e->sent < NUMBER) {
        memcpy(numbered, bytes, size);
        for (uint64_t i = e->sent; i < NUMBER && i - e->sent < size; i++)
          numbered[i - e->sent] = (unsigned char)(e->number >> (8 * i));
        bytes = numbered;
      }
      n = send(e->fd, bytes, size, MSG_NOSIGNAL);
      if (n > 0) {
        e->sent += (uint64_t)n;
        if (!e->is_server) bytes_out += (uint64_t)n;
        if ((uint64_t)n < size) e->can_write = 0;
      }
    }
    if (n < 0) {
      if (errno != EAGAIN) return fail(e, errno == ECONNRESET || errno == EPIPE ? E_RESET : E_SEND);
      e->can_write = 0;
    }
  }
}

/* Checks what arrived, and returns whether it is what was sent. */
static int is_right(struct end *e, const unsigned char *bytes, uint64_t length) {
  uint64_t position = e->received, from = 0;
  if (e->is_server && !want.duplex)
    for (; from < length && position + from < NUMBER; from++) {
      if (position + from == 0) e->number = 0;
      e->number |= (uint32_t)bytes[from] << (8 * (position + from));
    }
  return !memcmp(bytes + from, section(stream_number(e, !e->is_server), position + from), length - from);
}

static void end_exchange(struct end *e) {
  if (e->is_server) {
    begin_exchange(e);
    return;
  }
  exchanges++;
  record(&latency[EXCHANGING], now_ns() - e->since);
  if (--e->rounds_left && !(deadline && now_ns() >= deadline)) {
    begin_exchange(e);
    return;
  }
  if (want.hold) return;
  completed++;
  finish_end(e);
  start_client();
}

static void think(struct end *e) {
  e->is_thinking = 1;
  e->due = now_ns() + (uint64_t)want.think_ms * 1000000u;
  e->next_thinking = NULL;
  if (thinking_last) thinking_last->next_thinking = e;
  else thinking_first = e;
  thinking_last = e;
}

static void drive(struct end *e);

static void receive_some(struct end *e) {
  while (e->fd >= 0 && e->can_read) {
    uint64_t size = PORTION;
    if (e->is_server && e->hello_left) size = e->hello_left;
    else if (e->received < to_receive(e) && to_receive(e) - e->received < size) size = to_receive(e) - e->received;
    else if (e->received >= to_receive(e) && e->sent < to_send(e) && !want.duplex && e->is_server && !want.think_ms) return;
    ssize_t n = recv(e->fd, arrived, size, 0);
    if (n < 0) {
      if (errno == EAGAIN) {
        e->can_read = 0;
        return;
      }
      return fail(e, errno == ECONNRESET ? E_RESET : E_RECEIVE);
    }
    if (n == 0) {
      if (e->is_server) return finish_end(e);
      return fail(e, E_CUT);
    }
    if (e->is_server && e->hello_left) {
      e->hello_left -= (uint32_t)n;
      continue;
    }
    if (e->received + (uint64_t)n > to_receive(e) || !is_right(e, arrived, (uint64_t)n)) return fail(e, E_WRONG);
    e->received += (uint64_t)n;
    if (!e->is_server) bytes_in += (uint64_t)n;
    if (e->received == to_receive(e) && e->is_server && want.think_ms) think(e);
    return;
  }
}

static int is_over(const struct end *e) { return e->sent == to_send(e) && e->received == to_receive(e); }

/* Takes an end as far as it gets. */
static void drive(struct end *e) {
  while (e->fd >= 0) {
    uint64_t sent = e->sent, received = e->received;
    uint32_t hello_left = e->hello_left;
    send_some(e);
    if (e->fd < 0) return;
    receive_some(e);
    if (e->fd < 0) return;
    if (is_over(e)) {
      end_exchange(e);
      if (e->fd < 0 || e->sent) return;
      continue;
    }
    if (e->sent == sent && e->received == received && e->hello_left == hello_left) return;
  }
}

static void hear(struct end *e, uint32_t events) {
  if (e->fd < 0) return;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) e->can_read = 1;
  if (events & EPOLLOUT) {
    if (!e->is_connected && !(events & (EPOLLERR | EPOLLHUP))) {
      e->is_connected = 1;
      record(&latency[CONNECTING], now_ns() - e->since);
    }
    e->can_write = 1;
  }
  if (!e->is_connected) return fail(e, E_CONNECT);
  drive(e);
}

/* ---- The loop ---- */

static void answer_thoughts(void) {
  uint64_t now = now_ns();
  while (thinking_first && thinking_first->due <= now) {
    struct end *e = thinking_first;
    thinking_first = e->next_thinking;
    if (!thinking_first) thinking_last = NULL;
    e->is_thinking = 0;
    if (e->fd < 0) e->next_thinking = dead, dead = e;
    else drive(e);
  }
}

static void give_up_on_late(void) {
  static uint64_t looked;
  uint64_t now = now_ns();
  if (now - looked < 10000000u || want.hold) return;
  looked = now;
  for (int i = living_count - 1; i >= 0; i--)
    if (i < living_count && now - living[i]->since > (uint64_t)want.timeout_ms * 1000000u) fail(living[i], E_TIMEOUT);
}

static void free_dead(void) {
  while (dead) {
    struct end *e = dead;
    dead = e->next_thinking;
    free(e);
  }
}

static int is_held(void) { return want.hold && exchanges + errors[E_CONNECT] + errors[E_RESET] + errors[E_CUT] >= want.count; }

static void loop(int forever) {
  struct epoll_event events[BATCH];
  while (forever || living_count) {
    if (!forever && is_held()) return;
    int wait = forever ? -1 : 10;
    if (thinking_first) {
      int64_t left = ((int64_t)thinking_first->due - (int64_t)now_ns()) / 1000000 + 1;
      wait = left < 0 ? 0 : wait < 0 || left < wait ? (int)left : wait;
    }
    int n = epoll_wait(poll_fd, events, BATCH, wait);
    if (n < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < n; i++) {
      if (events[i].data.ptr == NULL) accept_servers();
      else if (events[i].data.ptr == &poll_fd) return; /* standard input: end of holding or of serving */
      else hear(events[i].data.ptr, events[i].events);
    }
    answer_thoughts();
    give_up_on_late();
    free_dead();
  }
}

/* ---- The report ---- */

static void print_latency(const char *name, const struct histogram *h) {
  static const double fractions[] = {0.5, 0.9, 0.99, 0.999};
  static const char *const names[] = {"p50", "p90", "p99", "p99.9"};
  printf(", \"%s\": {\"count\": %lu", name, h->total);
  for (int i = 0; i < 4; i++) printf(", \"%s\": %.1f", names[i], (double)percentile(h, fractions[i]) / 1000);
  printf(", \"maximum\": %.1f, \"mean\": %.1f}", (double)h->maximum / 1000, h->total ? (double)h->sum / (double)h->total / 1000 : 0);
}

static void report(double seconds) {
  printf("{\"seconds\": %.6f, \"exchanges\": %lu, \"connections\": %lu, \"completed\": %lu, \"served\": %lu", seconds,
         exchanges, started, completed, served);
  printf(", \"bytes_out\": %lu, \"bytes_in\": %lu, \"errors\": {", bytes_out, bytes_in);
  for (int i = 0; i < ERRORS; i++) printf("%s\"%s\": %lu", i ? ", " : "", error_names[i], errors[i]);
  printf("}");
  print_latency("connect_us", &latency[CONNECTING]);
  print_latency("exchange_us", &latency[EXCHANGING]);
  printf("}\n");
  fflush(stdout);
}

/* ---- Arguments ---- */

static const struct option options[] = {
    {"listen", 1, 0, 'l'},  {"target", 1, 0, 't'}, {"connections", 1, 0, 'c'}, {"count", 1, 0, 'n'},   {"out", 1, 0, 'o'},
    {"in", 1, 0, 'i'},      {"rounds", 1, 0, 'r'}, {"hello", 1, 0, 'h'},       {"names", 1, 0, 'N'},   {"duplex", 0, 0, 'd'},
    {"seconds", 1, 0, 's'}, {"hold", 0, 0, 'H'},   {"think", 1, 0, 'k'},       {"timeout", 1, 0, 'T'}, {"source", 1, 0, 'S'},
    {"serve", 0, 0, 'V'},   {0}};

static const char usage[] =
    "usage: load --listen PORT --target PORT [option...]\n"
    "  --connections N  at a time (1)             --count N    in all; else --seconds S\n"
    "  --out BYTES      of a request (100)        --in BYTES   of an answer (1024)\n"
    "  --rounds N       exchanges a connection    --duplex     the server sends without being asked\n"
    "  --hello BYTES    a ClientHello goes first  --names N    that it asks for, in turn\n"
    "  --think MS       before the server answers --timeout MS of a client's patience, an exchange (10000)\n"
    "  --hold           keeps connections after their exchanges until standard input ends\n"
    "  --serve          only the server, until standard input ends\n"
    "  --source N       clients come from 127.0.0.N\n";

int main(int argc, char **argv) {
  int serve = 0, c;
  while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) switch (c) {
      case 'l': want.listen_port = atoi(optarg); break;
      case 't': want.target_port = atoi(optarg); break;
      case 'c': want.connections = atoi(optarg); break;
      case 'n': want.count = strtoull(optarg, NULL, 10); break;
      case 'o': want.out = strtoull(optarg, NULL, 10); break;
      case 'i': want.in = strtoull(optarg, NULL, 10); break;
      case 'r': want.rounds = atoi(optarg); break;
      case 'h': want.hello = atoi(optarg); break;
      case 'N': want.names = atoi(optarg); break;
      case 'd': want.duplex = 1; break;
      case 's': want.seconds = atof(optarg); break;
      case 'H': want.hold = 1; break;
      case 'k': want.think_ms = atoi(optarg); break;
      case 'T': want.timeout_ms = atoi(optarg); break;
      case 'S': want.source = atoi(optarg); break;
      case 'V': serve = 1; break;
      default: fputs(usage, stderr); return 64;
    }
  if (!want.listen_port || (!want.target_port && !serve) || want.connections > (int)(sizeof living / sizeof *living) ||
      want.hello > LARGEST_HELLO || want.out < NUMBER || (want.count == UINT64_MAX && want.seconds <= 0 && !serve)) {
    fputs(usage, stderr);
    return 64;
  }
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  make_pattern();
  if (want.hello) make_hello(want.hello);

  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)want.listen_port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 65535)) die("listen");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event)) die("epoll_ctl");
  struct epoll_event input = {.events = EPOLLIN | EPOLLHUP, .data.ptr = &poll_fd};

  if (serve) {
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &input)) die("epoll_ctl: standard input");
    puts("ready");
    fflush(stdout);
    loop(1);
    return 0;
  }

  uint64_t began = now_ns();
  if (want.seconds > 0) deadline = began + (uint64_t)(want.seconds * 1e9);
  for (int i = 0; i < want.connections; i++) start_client();
  loop(0);
  report((double)(now_ns() - began) / 1e9);
  if (want.hold) {
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &input)) die("epoll_ctl: standard input");
    loop(1);
  }
  return 0;
}
