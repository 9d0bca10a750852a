// The header of the image in a drawer: the same page as its address, without leaving the image.

import { words } from "./words.js";
import { sift } from "./sieve.js";

const drawer = document.getElementById("drawer");
const body = document.getElementById("drawer-body");

export async function openDrawer(address) {
  body.textContent = words.loading;
  if (!drawer.open) drawer.showModal();
  const response = await fetch(address, { credentials: "same-origin" }).catch(() => null);
  if (!response?.ok || response.redirected) {
    body.textContent = response?.redirected ? words.ended : words.unreachable;
    return;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  body.replaceChildren(...[...page.querySelectorAll("[data-drawer]")].map((node) => document.adoptNode(node)));
  sift(body);
  body.querySelector("input[type=search]")?.focus();
}
