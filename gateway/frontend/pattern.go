package frontend

// matches reports whether a pattern of tenant.CacheRule matches all of name. It goes back to the last "*" and the last "**" only, so that
// no pattern takes more than its length times that of the name squared.
func matches(pattern, name string) bool {
	p, n := 0, 0
	star, starAt := -1, 0     // after the last "*", and how far it reaches
	double, doubleAt := -1, 0 // the same of the last "**"
	for n < len(name) || p < len(pattern) {
		switch {
		case p+1 < len(pattern) && pattern[p] == '*' && pattern[p+1] == '*':
			p += 2
			double, doubleAt, star = p, n, -1
			continue
		case p < len(pattern) && pattern[p] == '*':
			p++
			star, starAt = p, n
			continue
		case p < len(pattern) && n < len(name) && pattern[p] == name[n]:
			p, n = p+1, n+1
			continue
		}
		switch {
		case star >= 0 && starAt < len(name) && name[starAt] != '/':
			starAt++
			p, n = star, starAt
		case double >= 0 && doubleAt < len(name):
			doubleAt++
			p, n, star = double, doubleAt, -1
		default:
			return false
		}
	}
	return true
}
