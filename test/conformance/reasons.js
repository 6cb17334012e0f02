// @ts-check
/**
 * Why cases of the public suite fail, by their id. Each is meant: to hold it would be against what tierwheel promises, or
 * is left to the origin.
 */

const cookie = 'a response that sets a cookie is never stored, with or without Vary'
const range = 'ranges are left to the origin: 206 is never stored, and a stored page answers no Range'
const normal =
  'values of varying fields are compared as they were sent; nothing is guessed about their meaning'

/** @type {Record<string, string | undefined>} */
export const reasons = {
  'headers-store-Set-Cookie': cookie,
  'other-set-cookie': cookie,
  'partial-store-partial-reuse-partial': range,
  'partial-store-complete-reuse-partial': range,
  'partial-store-complete-reuse-partial-no-last': range,
  'partial-store-complete-reuse-partial-suffix': range,
  'partial-store-partial-reuse-partial-byterange': range,
  'partial-store-partial-reuse-partial-absent': range,
  'partial-store-partial-reuse-partial-suffix': range,
  'partial-store-partial-complete': range,
  'partial-use-headers': range,
  'partial-use-stored-headers': range,
  'method-POST': 'the answer to a POST is never stored as the page of a GET',
  'vary-normalise-lang-order': normal,
  'vary-normalise-lang-case': normal,
  'vary-normalise-lang-space': normal,
  'vary-normalise-lang-select': normal,
  'vary-normalise-space': normal,
  'conditional-lm-fresh-no-lm':
    'the page says nothing of its last change and is newer than the date that the client has, so it is sent',
}

const closed =
  'asks for the response of an origin that has closed the connection; the newest edition takes an error'

/** @type {Record<string, string | undefined>} */
export const reasons045 = {
  // Not a required case in this edition, and it holds as a mere check.
  'partial-use-stored-headers': undefined,
  'stale-close-must-revalidate': closed,
  'stale-close-proxy-revalidate': closed,
  'stale-close-no-cache': closed,
  'stale-close-s-maxage=2': closed,
  '304-etag-update-response-Set-Cookie': cookie,
  'age-parse-prefix':
    'the case contradicts its own name and its twin with two lines: an Age of two numbers is no number',
}
