// Package spread spreads what is due for many domains, so that a thousand that were made at one moment do not come due at one.
package spread

// Of is a number in [0, 1) of a domain's own: the same in every process, on every machine and after every restart, and even over domains
// whose names are alike.
func Of(domain string) float64 {
	hash := uint32(2166136261) // FNV-1a
	for i := range len(domain) {
		hash = (hash ^ uint32(domain[i])) * 16777619
	}
	hash = (hash ^ hash>>15) * 0x2c1b3c6d // FNV leaves the upper bits of alike names alike
	return float64(hash^hash>>12) / (1 << 32)
}
