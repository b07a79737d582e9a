package store

import (
	"strings"
	"testing"
)

func TestTargetKey(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		if got := key(t, a) == key(t, b); got != want {
			t.Errorf("shared client for %q and %q: got %t, want %t", a, b, got, want)
		}
	}
	const same, different = true, false

	// the database in the path is the tenant's affair
	f("mongodb://h/a", "mongodb://h/b", same)
	f("mongodb://h", "mongodb://h/b", same)
	f("mongodb://u:p@h/a?authSource=admin", "mongodb://u:p@h/b?authSource=admin", same)
	// but without authSource it is where the user is known
	f("mongodb://u:p@h/a", "mongodb://u:p@h/b", different)
	f("mongodb://u:p@h/a", "mongodb://u:p@h/b?authSource=a", same)
	f("mongodb://u:p@h/", "mongodb://u:p@h/b?authSource=admin", same)
	f("mongodb://u:p@h/?authMechanism=SCRAM-SHA-256", "mongodb://u:p@h/?authMechanism=SCRAM-SHA-256&authSource=admin", same)
	// and where the mechanism or DNS decides, we do not guess
	f("mongodb://u:p@h/?authMechanism=PLAIN", "mongodb://u:p@h/?authMechanism=PLAIN&authSource=admin", different)
	f("mongodb://h/a?authMechanism=MONGODB-X509", "mongodb://h/a?authMechanism=MONGODB-X509&authSource=a", different)
	f("mongodb+srv://u:p@h/a", "mongodb+srv://u:p@h/b", different)
	f("mongodb+srv://u:p@h/", "mongodb+srv://u:p@h/?authSource=admin", different)
	f("mongodb+srv://u:p@h/a?authSource=admin", "mongodb+srv://u:p@h/b?authSource=admin", same)

	// hosts are a set of names with a default port
	f("mongodb://h1,h2/", "mongodb://H2:27017,h1:27017/", same)
	f("mongodb://h1,h1/", "mongodb://h1/", same)
	f("mongodb://h1,h2/", "mongodb://h1/", different)
	f("mongodb://h:27018/", "mongodb://h/", different)
	f("mongodb://[::1]/", "mongodb://[::1]:27017/", same)
	f("mongodb://%2Ftmp%2Fm.sock/", "mongodb://%2ftmp%2fm.sock/", same)
	f("mongodb://%2Ftmp%2FM.sock/", "mongodb://%2Ftmp%2Fm.sock/", different)
	f("mongodb://h/", "mongodb+srv://h/", different)

	// credentials
	f("mongodb://u:p%40ss@h/?authSource=a", "mongodb://%75:p%40ss@h/?authSource=a", same)
	f("mongodb://u:p@h/?authSource=a", "mongodb://u:q@h/?authSource=a", different)
	f("mongodb://u:p@h/?authSource=a", "mongodb://v:p@h/?authSource=a", different)
	f("mongodb://u:p@h/", "mongodb://h/", different)
	f("mongodb://up:@h/?authSource=a", "mongodb://u:p@h/?authSource=a", different)

	// options
	f("mongodb://h/?tls=true&replicaSet=rs", "mongodb://h/?replicaset=rs&TLS=true", same)
	f("mongodb://h/?tls=true", "mongodb://h/", different)
	f("mongodb://h/?w=1", "mongodb://h/?w=majority", different)
	f("mongodb://h/?readPreference=secondary&readPreferenceTags=a:1&maxStalenessSeconds=90", "mongodb://h/", same)
	// those that the store sets itself make no difference
	f("mongodb://h/?maxPoolSize=5&appName=x&serverSelectionTimeoutMS=99", "mongodb://h/", same)

	f("", "", same)
	f("", "mongodb://embedded/?directConnection=true", different)
}

func TestTargetName(t *testing.T) {
	f := func(uri, want string) {
		t.Helper()
		target, err := parseTarget(uri)
		if err != nil || target.name != want {
			t.Errorf("%q: got %q, %v, want %q", uri, target.name, err, want)
		}
	}

	f("", "embedded")
	f("mongodb://h", "h:27017")
	f("mongodb://user:secret@h2,h1:1/db?x=y", "user@h1:1,h2:27017")
	f("mongodb+srv://user:secret@cluster.example.com", "user@cluster.example.com")
}

func TestTargetFaults(t *testing.T) {
	f := func(uri string) {
		t.Helper()
		if _, err := parseTarget(uri); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want an error without the secret", uri, err)
		}
	}

	f("secret")
	f("postgres://user:secret@h/db")
	f("mongodb:user:secret@h")
	f("mongodb://user:secret@")
	f("mongodb:///secret")
}

func TestRedact(t *testing.T) {
	f := func(uri, text, want string) {
		t.Helper()
		target, err := parseTarget(uri)
		if err != nil {
			t.Fatal(err)
		}
		if got := target.redact.Replace(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}

	f("mongodb://u:p%40ss@h/", `dial h: "mongodb://u:p%40ss@h/" with p@ss, p%40ss, u:p%40ss`, `dial h: "[redacted]" with [redacted], [redacted], [redacted]`)
	f("mongodb://h/", "dial h", "dial h")
	f("mongodb://u@h/", "u", "u")
}

func key(t *testing.T, uri string) deploymentKey {
	t.Helper()
	target, err := parseTarget(uri)
	if err != nil {
		t.Fatalf("%q: %v", uri, err)
	}
	return target.key
}
