/* The limit: the least that a relay can be. One thread, one server, the same calls to the kernel as sluice, and no
 * features: no rules, counters, timers, limits or logs. What sluice costs beyond this is sluice's own.
 *
 * usage: limit LISTEN_PORT SERVER_PORT [--copy]       --copy never splices
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BUFFER = 32 << 10, PIPE = 256 << 10, REQUEST = 1 << 20, BUDGET = 1 << 20, BATCH = 256, POOL = 64, LARGEST_BATCH = 64 };

struct connection;
struct side {
  struct connection *connection;
  int fd;
  uint8_t can_read, can_write, saw_end, is_watched;
  /* The direction that begins here. */
  uint8_t is_bulk, ended, passed_on;
  int pipe[2], piped;
  unsigned char *held;
  int held_start, held_end;
};
struct connection {
  struct side client, server;
  struct connection *next; /* among those that are free, dead, or have another turn */
  uint8_t is_connected, is_closed, has_turn;
};

static int poll_fd, listener, splices = 1, pool[POOL][2], pooled;
static unsigned char *scratch;
static struct sockaddr_in server_address;
static struct connection *unused, *dead, *turns;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void close_connection(struct connection *c) {
  if (c->is_closed) return;
  c->is_closed = 1;
  for (struct side *s = &c->client;; s = &c->server) {
    if (s->fd >= 0) close(s->fd);
    if (s->pipe[0] >= 0) close(s->pipe[0]), close(s->pipe[1]);
    free(s->held);
    if (s == &c->server) break;
  }
  /* Until the batch of events is over: one of them may still name it. */
  if (!c->has_turn) c->next = dead, dead = c;
}

static int take_pipe(struct side *s) {
  if (s->pipe[0] >= 0) return 1;
  if (pooled) {
    pooled--;
    s->pipe[0] = pool[pooled][0], s->pipe[1] = pool[pooled][1];
    return 1;
  }
  if (pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC)) return 0;
  fcntl(s->pipe[1], F_SETPIPE_SZ, PIPE);
  return 1;
}

static void give_pipe_back(struct side *s) {
  if (s->pipe[0] < 0) return;
  if (pooled < POOL) pool[pooled][0] = s->pipe[0], pool[pooled][1] = s->pipe[1], pooled++;
  else close(s->pipe[0]), close(s->pipe[1]);
  s->pipe[0] = s->pipe[1] = -1;
}

enum need { WAIT, TURN, FINISHED, FAILED };

/* One direction, until something must be waited for. */
static enum need pump(struct side *from, struct side *to) {
  int credit = BUDGET;
  while (credit > 0) {
    ssize_t n;
    if (from->held) {
      if (!to->can_write) return WAIT;
      n = send(to->fd, from->held + from->held_start, (size_t)(from->held_end - from->held_start), MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) return FAILED;
      if (n > 0) from->held_start += (int)n;
      if (from->held_start < from->held_end) to->can_write = 0;
      else free(from->held), from->held = NULL;
      continue;
    }
    if (from->piped) {
      if (!to->can_write) return WAIT;
      n = splice(from->pipe[0], NULL, to->fd, NULL, (size_t)from->piped, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (n < 0 && errno != EAGAIN) return FAILED;
      if (n > 0) from->piped -= (int)n;
      else to->can_write = 0;
      continue;
    }
    if (from->ended) {
      if (!from->passed_on) {
        from->passed_on = 1;
        if (!to->passed_on) shutdown(to->fd, SHUT_WR);
      }
      return FINISHED;
    }
    if (!from->can_read) {
      give_pipe_back(from);
      return WAIT;
    }
    if (from->is_bulk && splices && take_pipe(from)) {
      n = splice(from->fd, NULL, from->pipe[1], NULL, REQUEST, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (n > 0) from->piped = (int)n, from->is_bulk = n >= BUFFER / 2;
    } else {
      n = recv(from->fd, scratch, BUFFER, 0);
      if (n > 0) {
        from->is_bulk = n == BUFFER;
        if (n < BUFFER && !from->saw_end) from->can_read = 0;
        ssize_t sent = to->can_write ? send(to->fd, scratch, (size_t)n, MSG_NOSIGNAL) : 0;
        if (sent < 0 && errno != EAGAIN) return FAILED;
        if (sent < 0) sent = 0;
        if (sent < n) {
          to->can_write = 0;
          from->held = scratch, from->held_start = (int)sent, from->held_end = (int)n;
          scratch = malloc(BUFFER);
        }
      }
    }
    if (n < 0) {
      if (errno != EAGAIN) return FAILED;
      from->can_read = 0;
    } else if (n == 0) from->ended = 1;
    else credit -= (int)n;
  }
  return TURN;
}

static void drive(struct connection *c) {
  if (c->is_closed) return;
  if (!c->is_connected) {
    if (!c->server.can_write) return;
    if (c->server.saw_end) return close_connection(c);
    c->is_connected = 1;
  }
  enum need up = pump(&c->client, &c->server);
  enum need down = up == FAILED ? FAILED : pump(&c->server, &c->client);
  if (up == FAILED || down == FAILED || (up == FINISHED && down == FINISHED)) return close_connection(c);
  if ((up == TURN || down == TURN) && !c->has_turn) c->has_turn = 1, c->next = turns, turns = c;
}

static void watch(struct side *s) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, s->fd, &event)) die("epoll_ctl");
}

static void begin(int client) {
  struct connection *c = unused;
  if (c) unused = c->next;
  else if (!(c = malloc(sizeof *c))) die("malloc");
  *c = (struct connection){.client = {.fd = client, .connection = c, .pipe = {-1, -1}, .can_read = 1, .can_write = 1},
                           .server = {.fd = -1, .connection = c, .pipe = {-1, -1}}};
  int on = 1;
  c->server.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->server.fd < 0) return close_connection(c);
  setsockopt(c->server.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(c->server.fd, (struct sockaddr *)&server_address, sizeof server_address) && errno != EINPROGRESS)
    return close_connection(c);
  watch(&c->client);
  watch(&c->server);
}

/* A batch of one saves the call that finds nothing; it grows while whole batches come. */
static void accept_batch(void) {
  static int batch = 1;
  for (int taken = 0; taken < batch; taken++) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    int fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      batch = taken ? taken : 1;
      return;
    }
    begin(fd);
  }
  if (batch < LARGEST_BATCH) batch *= 2;
}

static void take_turns(void) {
  struct connection *c = turns;
  turns = NULL;
  while (c) {
    struct connection *next = c->next;
    c->has_turn = 0;
    if (c->is_closed) c->next = dead, dead = c;
    else drive(c);
    c = next;
  }
}

static void bury(void) {
  while (dead) {
    struct connection *c = dead;
    dead = c->next;
    c->next = unused, unused = c;
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return fputs("usage: limit LISTEN_PORT SERVER_PORT [--copy]\n", stderr), 64;
  splices = !(argc > 3 && !strcmp(argv[3], "--copy"));
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  server_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
  server_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  struct sockaddr_in address = server_address;
  address.sin_port = htons((uint16_t)atoi(argv[1]));
  int on = 1;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 65535)) die("listen");
  scratch = malloc(BUFFER);
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event)) die("epoll_ctl");
  for (;;) {
    struct epoll_event events[BATCH];
    int n = epoll_wait(poll_fd, events, BATCH, turns ? 0 : -1);
    if (n < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < n; i++) {
      struct side *s = events[i].data.ptr;
      if (!s) {
        accept_batch();
        continue;
      }
      if (s->connection->is_closed) continue;
      uint32_t e = events[i].events;
      if (e & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) s->can_read = 1;
      if (e & (EPOLLOUT | EPOLLHUP | EPOLLERR)) s->can_write = 1;
      if (e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) s->saw_end = 1;
      drive(s->connection);
    }
    take_turns();
    bury();
  }
}
