/** What a server says of a field, as a sentence: it begins with the verb, and the field's name goes before it. What does not is one by itself. */
export function sentence(said: string, label = ''): string {
  const whole = label && /^(must|cannot|is|has|belongs|leads) /.test(said) ? `${label} ${said}` : said.charAt(0).toUpperCase() + said.slice(1);
  return /[.!?]$/.test(whole) ? whole : whole + '.';
}
