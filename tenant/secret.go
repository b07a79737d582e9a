package tenant

// Secret is a value that must never be printed. Every way of formatting or encoding it gives "[redacted]"; only Reveal shows it.
type Secret struct{ value string }

// NewSecret keeps value from being printed.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the secret itself, for the one call that needs it.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == "" }

func newSecrets(values []string) (secrets []Secret) {
	for _, value := range values {
		secrets = append(secrets, NewSecret(value))
	}
	return secrets
}

func revealAll(secrets []Secret) (values []string) {
	for _, secret := range secrets {
		values = append(values, secret.Reveal())
	}
	return values
}

const redacted = "[redacted]"

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer, for %#v.
func (s Secret) GoString() string { return redacted }

// MarshalText implements encoding.TextMarshaler, for JSON, YAML and zap.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
