// The sentences of the page, in the person's language: the server wrote them.

export const words = JSON.parse(document.getElementById("words").textContent);

// A sentence with its {names} filled in.
export function filled(key, values) {
  return words[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
