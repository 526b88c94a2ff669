drawAll(JSON.parse(document.getElementById("charts").textContent));

// A click on a picture shows it large; another one, or Escape, closes it.
(() => {
  const large = document.getElementById("large");
  const picture = large.querySelector("img");
  for (const shot of document.querySelectorAll(".shot")) {
    shot.addEventListener("click", () => {
      const small = shot.querySelector("img");
      picture.src = small.src;
      picture.alt = small.alt;
      large.querySelector("p").textContent = small.alt;
      large.showModal();
    });
  }
  large.addEventListener("click", () => large.close());
})();
