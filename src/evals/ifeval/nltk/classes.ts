/**
 * Character classes of NLTK's patterns, as the insides of JavaScript ones. NLTK compiles with the package `regex`, which
 * follows Unicode's own definitions: white space without U+001C to U+001F, marks and joiners inside words, no `½` and no `²`.
 */
export const space = String.raw`\p{White_Space}`
export const word = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}`
