/** The version of the tiny world: part of the key of everything made from it. Raise it with any change of a prompt, an answer or a check. */
export const tinyWorldVersion = 1
