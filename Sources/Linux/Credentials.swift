import CLinux
import Glibc

/// A right of the superuser that a process can hold by itself.
///
/// - SeeAlso: capabilities(7).
@frozen public enum Capability: Int32, Sendable {
  case bindService = 10
  case networkAdministration = 12

  /// Whether this process may use it now.
  public var isHeld: Bool { clinux_has_capability(rawValue) > 0 }
}

/// Who a process is, to the kernel's checks of rights.
@frozen public struct Credentials: Equatable, Sendable {
  public var user: UInt32
  public var group: UInt32

  public init(user: UInt32, group: UInt32) {
    self.user = user
    self.group = group
  }

  public static var current: Credentials {
    Credentials(user: UInt32(clinux_geteuid()), group: UInt32(clinux_getegid()))
  }

  public var isSuperuser: Bool { user == 0 }

  /// Looks a user up, with the group that the user logs in with; nil when there is none.
  ///
  /// - SeeAlso: getpwnam(3).
  public static func ofUser(_ name: String) -> Credentials? {
    var found = Credentials(user: 0, group: 0)
    let result = unsafe name.withCString {
      unsafe clinux_user_by_name($0, &found.user, &found.group)
    }
    return result == 0 ? found : nil
  }

  /// - SeeAlso: getgrnam(3).
  public static func groupNumber(_ name: String) -> UInt32? {
    var group: UInt32 = 0
    let result = unsafe name.withCString { unsafe clinux_group_by_name($0, &group) }
    return result == 0 ? group : nil
  }

  /// Becomes this user and group for good, without supplementary groups, and keeps these
  /// capabilities and no others.
  ///
  /// - Throws: `EPERM` when the process is not the superuser and not that user already.
  /// - SeeAlso: setresuid(2), capset(2).
  public func assume(keeping capabilities: [Capability] = []) throws(Errno) {
    let mask = capabilities.filter(\.isHeld).reduce(UInt64(0)) { $0 | 1 << UInt64($1.rawValue) }
    if self == .current, !isSuperuser {
      try check(clinux_limit_capabilities(mask))
    } else if mask != 0 {
      try check(clinux_become_keeping(user, group, mask))
    } else {
      try check(clinux_become(user, group))
    }
  }

  /// Gives up, for this process and all that come of it, ever to gain rights by executing a file.
  ///
  /// - SeeAlso: `PR_SET_NO_NEW_PRIVS` in prctl(2).
  public static func renounceNewRights() { _ = clinux_no_new_privileges() }

  /// Makes `path` the root directory, and goes there. Needs CAP_SYS_CHROOT.
  ///
  /// - SeeAlso: chroot(2).
  public static func confine(to path: String) throws(Errno) {
    try check(unsafe path.withCString { unsafe clinux_chroot($0) })
    try check(unsafe clinux_chdir("/"))
  }
}
