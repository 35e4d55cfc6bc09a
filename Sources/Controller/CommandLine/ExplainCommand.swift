import Configuration
import Ledger
import Linux
import Rules

/// What would become of a connection: the rules of the running configuration, and its servers as
/// they are now.
///
/// Of the names in certificates the controller knows nothing: a bind with `strict-sni` lets every
/// name pass here.
enum ExplainCommand {
  static let all: [Command] = [
    Command(
      "explain", "[--sni <name>] [--src <addr>] [--dst-port <port>]*",
      "tell which rules, backend and server a connection would get, and why", .operator
    ) { services, words, _ in explain(services.deployment, words) }
  ]

  private static func explain(_ deployment: Deployment, _ words: [String]) -> Answer {
    do throws(SupposedConnection.Mistake) {
      let supposed = try SupposedConnection(words)
      guard let rules = rules(of: deployment) else { return .failure("The rules cannot be used.") }
      var explainer = Explainer(deployment.configuration, rules, deployment.snapshot) {
        deployment.server(ServerID(backend: $0, server: $1)).standing
      }
      return .dump(try explainer.explain(supposed).text + "\n")
    } catch {
      return .failure(error.message)
    }
  }

  /// Compiled anew for each question: few are asked, and the memory is free until then.
  private static func rules(of deployment: Deployment) -> RuleSet? {
    do throws(RuleErrors) {
      var rules = try RuleSet(compiling: deployment.configuration)
      rules.attach(
        connections: 1, ledger: deployment.ledger, slots: deployment.slots,
        hostname: Machine.hostname)
      return rules
    } catch {
      return nil
    }
  }
}

extension ServerView {
  /// As `explain` tells it.
  fileprivate var standing: ServerStanding {
    var remark = ""
    if isInMaintenance {
      remark = "in maintenance"
    } else if answering == .stopped {
      remark = "DOWN"
    } else if isDraining {
      remark = "draining"
    }
    return ServerStanding(weight: Int(clamping: weight), isUsable: isUsable, remark: remark)
  }
}
