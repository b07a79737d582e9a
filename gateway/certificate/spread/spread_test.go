package spread

import (
	"fmt"
	"testing"
)

func TestOfIsStableAndEven(t *testing.T) {
	const domains, parts = 20000, 10
	var counts [parts]int
	for i := range domains {
		share := Of(fmt.Sprintf("shop-%d.example.de", i))
		if share < 0 || share >= 1 {
			t.Fatalf("%v", share)
		}
		counts[int(share*parts)]++
	}
	for part, n := range counts {
		if n < domains/parts*9/10 || n > domains/parts*11/10 {
			t.Errorf("%d of %d are in part %d of %d", n, domains, part, parts)
		}
	}
	if got := fmt.Sprintf("%.9f", Of("ensotek.de")); got != "0.125621197" {
		t.Errorf("the share of a domain has changed to %s: what is planned for it would move", got)
	}
}
