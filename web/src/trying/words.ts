// Words of the server, as sentences of the page.
/** What a server says of a field, as a sentence: it begins with the verb, and the field's name goes before it. What does not is one by itself. */
export function sentence(said: string, label = ''): string {
  const whole = label && /^(must|cannot|is|has|belongs|leads) /.test(said) ? `${label} ${said}` : initial(said);
  return /[.!?]$/.test(whole) ? whole : whole + '.';
}

/** Words as the beginning of a sentence. */
export function initial(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
