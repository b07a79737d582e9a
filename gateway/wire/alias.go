package wire

// foldName folds what peers take for the same name: X-Tenant, x_tenant, X.Tenant.
func foldName(c byte) byte {
	switch {
	case c == '_' || c == '.':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c | 0x20
	}
	return c
}
