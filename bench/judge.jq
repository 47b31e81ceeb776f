# bench/judge.jq - what the rows of a run mean: `jq -s -c -f bench/judge.jq bench.jsonl`.
#
# Adds to a row its ratio to the peer measured in the same run ("ratio", "to") and what DESIGN 9
# promises ("target", "met"). A promise with a second step, or about a ratio, is a row of its own.
# A row that has a target already is left as it is: the ledger's own.

def against($peer; f): if $peer then .ratio = ((f / ($peer | f)) * 1000 | round / 1000) | .to = $peer.what else . end;
def promise($text; $met): .target = $text | .met = $met;
def step($what; $value; $unit; $text; $met):
    {bench, what: $what, n, value: $value, unit: $unit, target: $text, met: $met};

. as $rows
| ([$rows[] | select(.bench == "start" and .what == "crun" and .p50)] | first) as $crun
| .[]
| if .error then .
  elif .bench == "start" and .p50 and (.what | test("at once") | not) then
      against($crun; .p50)
      | if .what == "a session" then
            promise("p50 <= 60"; .p50 <= 60),
            step("a session, second step"; .p50; "ms"; "p50 <= 25"; .p50 <= 25),
            (if $crun then step("a session to crun"; .ratio; "ratio"; "<= 1.5"; .ratio <= 1.5) else empty end)
        else . end
  elif .bench == "start" and .what == "100 at once, until all" then
      promise("<= 3000"; .refused == 0 and .value <= 3000),
      step("100 at once, second step"; .value; "ms"; "<= 2000"; .refused == 0 and .value <= 2000)
  elif .bench == "cpu" then
      .ratio = (.value / .reserved * 1000 | round / 1000) | .to = "reserved"
      | promise("within 2 %"; ((.value - .reserved) | fabs) <= .reserved * 0.02)
  elif .bench == "web" and .what == "session to outside, value" then
      promise(">= 0.97"; .value >= 0.97)
  elif .bench == "memory" and (.what | test("-(xenod|xeno-taskd), ")) then
      (16384 + 64 * .sessions) as $most | promise("<= \($most)"; .value <= $most)
  else . end
