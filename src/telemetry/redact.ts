/** User info in a URL, up to the last @ of its authority: passwords with @ in them occur. */
const USER_INFO = /:\/\/[^/\s"']*@/g;
/** User info whose password holds an unescaped slash; such a URL is refused, and the refusal may be printed. */
const USER_INFO_SLASH = /:\/\/[^/@:[\s"']{0,128}:(?!\d{1,5}[/?#])[^\s"'@]{0,256}@/g;
/** Secrets in queries, and in the paths some cameras take them in (`/user=admin_password=x_channel=1`). */
const SECRET_VALUE =
  /([?&;/_](?:key|token|pass|passwd|password|passphrase|pwd|secret|auth|signature|sig)=)[^&\s"']+/gi;
/** SRT stream ids in the form many servers read: action:name:user:password. */
const SRT_STREAM_ID = /(streamid=\w{1,16}:[^:&\s"']{1,128}:)[^&\s"']+/gi;

/** Removes user info and secret values from every URL in a text. Linear in its length. */
export function redact(text: string): string {
  return text
    .replace(USER_INFO, '://***@')
    .replace(USER_INFO_SLASH, '://***@')
    .replace(SECRET_VALUE, '$1***')
    .replace(SRT_STREAM_ID, '$1***');
}
