import Configuration
import Linux
import Rules
import Testing

@testable import Master

@Suite("Arguments")
struct ArgumentsTests {
  private func failure(_ words: String...) -> String? {
    do throws(Arguments.Failure) {
      _ = try Arguments(words)
      return nil
    } catch {
      return error.message
    }
  }

  @Test("files add up in order, those behind -- too")
  func files() throws {
    let arguments = try Arguments(["-f", "a.cfg", "-f", "conf.d", "-D", "--", "b.cfg", "-c"])
    #expect(arguments.files == ["a.cfg", "conf.d", "b.cfg", "-c"])
    #expect(arguments.daemonize)
    #expect(arguments.action == .run)
  }

  @Test(
    "each action has its flag",
    arguments: [
      (["-c"], Arguments.Action.check), (["-cc", "defined(X)"], .evaluate("defined(X)")),
      (["-v"], .version(.line)), (["-vv"], .version(.features)), (["-vq"], .version(.number)),
      (["-vqb"], .version(.branch)), (["-h"], .help), ([], .run),
    ])
  func actions(words: [String], action: Arguments.Action) throws {
    #expect(try Arguments(words).action == action)
  }

  @Test("explain takes what describes a connection, wherever the files are named")
  func explain() throws {
    var supposed = SupposedConnection()
    supposed.serverName = "a.test"
    supposed.protocols = ["h2", "http/1.1"]
    supposed.client = Endpoint(address: IPAddress(ipv4: 0x0a00_0001), port: 7)
    supposed.destinationPort = 443
    let flags = [
      "--sni", "a.test", "--alpn", "h2,http/1.1", "--src", "10.0.0.1:7", "--dst-port", "443",
    ]
    for words in [["-f", "a", "explain"] + flags, ["explain"] + flags + ["-f", "a"]] {
      let arguments = try Arguments(words)
      #expect(arguments.action == .explain(supposed))
      #expect(arguments.files == ["a"])
    }
    #expect(failure("--sni", "a.test") == "option '--sni' belongs behind 'explain'")
    #expect(failure("explain", "--src", "x") == "option '--src' needs an address, not 'x'")
  }

  @Test("libraries are read from a process's map, each once")
  func libraries() {
    let maps = """
      55d0-55d1 r--p 00000000 fe:00 12  /usr/sbin/sluice
      55d1-55d2 r-xp 00001000 fe:00 12  /usr/sbin/sluice
      7f00-7f01 rw-p 00000000 00:00 0
      7f02-7f03 rw-s 00000000 00:01 9   /memfd:sluice-ledger (deleted)
      7f04-7f05 r-xp 00000000 fe:00 13  /lib/a directory/libc.so.6
      7ffd-7ffe rw-p 00000000 00:00 0   [stack]
      """
    #expect(
      LinkedLibraries.paths(in: maps) == ["/usr/sbin/sluice", "/lib/a directory/libc.so.6"])
  }

  @Test("-sf and -st take the numbers that follow, and none from an empty pid file")
  func processes() throws {
    let arguments = try Arguments(["-sf", "12", "13", "-st", "14", "-f", "a.cfg"])
    #expect(arguments.processesToFinish == [12, 13])
    #expect(arguments.processesToTerminate == [14])
    #expect(arguments.files == ["a.cfg"])
    #expect(try Arguments(["-sf", "-f", "a.cfg"]).processesToFinish.isEmpty)
  }

  @Test("values are taken whatever they look like")
  func values() throws {
    let arguments = try Arguments([
      "-p", "-pid", "-n", "100", "-N", "7", "-C", "/etc", "-S", "/run/s.sock,mode,660", "-x", "/o",
    ])
    #expect(arguments.pidFile == "-pid")
    #expect(arguments.maxConnections == 100)
    #expect(arguments.frontendConnections == 7)
    #expect(arguments.directory == "/etc")
    #expect(arguments.controlSocket == "/run/s.sock,mode,660")
    #expect(arguments.predecessor == "/o")
    #expect(try Arguments(["--takeover", "/o"]).predecessor == "/o")
  }

  @Test(
    "flags without meaning here are accepted",
    arguments: ["-W", "-Ws", "-4", "-dI", "-dM", "-dM0x55", "-dMno-merge", "-dr", "-dZ", "-dtall"])
  func withoutMeaning(flag: String) throws {
    #expect(try Arguments([flag, "-f", "x"]).files == ["x"])
  }

  @Test("what is unknown, missing or no number is told with the nearest flag")
  func failures() {
    #expect(failure("-vvv") == "unknown option '-vvv'; did you mean '-vv'?")
    #expect(failure("-dQ") == "unknown option '-dQ'; did you mean '-db'?")
    #expect(failure("--reload-everything") == "unknown option '--reload-everything'")
    #expect(failure("-Y") == "unknown option '-Y'")
    #expect(failure("a.cfg") == "'a.cfg' is no option; name files with '-f a.cfg'")
    #expect(failure("-f") == "option '-f' needs a value")
    #expect(failure("-n", "many") == "option '-n' needs a number, not 'many'")
  }
}

@Suite("Where the control socket is")
struct ControlSocketTests {
  @Test("an address and options of bind")
  func options() throws {
    let socket = try ControlSocket("/run/x.sock,mode,660,user,root,gid,7,level,admin")
    #expect(socket.specification.key.address == .socket(.unix(path: "/run/x.sock")))
    #expect(socket.specification.options.permissions.mode == 0o660)
    #expect(socket.specification.options.permissions.user == .name("root"))
    #expect(socket.specification.options.permissions.group == .number(7))
    #expect(socket.directory == "/run")
  }

  @Test("is for its owner alone unless it says otherwise")
  func standardMode() throws {
    #expect(try ControlSocket("/s").specification.options.permissions.mode == 0o600)
  }

  @Test(
    "internet and abstract addresses",
    arguments: [
      ("127.0.0.1:99", "127.0.0.1:99"), ("[::1]:99", "[::1]:99"), ("abns@x", "abns@x"),
      ("unix@rel.sock", "rel.sock"),
    ])
  func addresses(text: String, address: String) throws {
    let key = try ControlSocket(text).specification.key
    guard case .socket(let found) = key.address else { return #expect(Bool(false)) }
    #expect(found.description == address)
  }

  @Test(
    "anything else is refused",
    arguments: ["", "name", "/s,mode", "/s,mode,9", "/s,x,y", "1.2.3.4"])
  func refused(text: String) {
    #expect(throws: Arguments.Failure.self) { try ControlSocket(text) }
  }
}
