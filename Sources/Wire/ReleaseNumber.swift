/// This release: what all of its programs say of themselves.
public enum ReleaseNumber {
  public static let text = "0.1.0"
}
