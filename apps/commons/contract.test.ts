import assert from "node:assert/strict";
import { test } from "node:test";
import { lengthOf, tidyBody } from "./contract.ts";

test("a post keeps its line breaks, but at most two blank lines in a row, also when those hold spaces", () => {
  assert.equal(tidyBody(" a\r\n\r\nb \n"), "a\n\nb");
  assert.equal(tidyBody("a\n\n\nb"), "a\n\n\nb");
  assert.equal(tidyBody("a\n\n\n\n\nb"), "a\n\n\nb");
  assert.equal(tidyBody("a\n \n\t\n \n \n  b"), "a\n\n\n  b");
});

test("a text of which nothing can be seen is empty; joiners inside of what is seen stay", () => {
  for (const unseen of ["", " \n ", "\u200b", "\u200d\ufeff", "\u202e\u2066 \u00ad", "\u3164", "\u0000\u0007"]) {
    assert.equal(tidyBody(unseen), "", JSON.stringify(unseen));
  }
  const family = "👩‍👩‍👧‍👦";
  assert.equal(tidyBody(family), family);
  assert.equal(lengthOf("🎉a"), 2);
});
