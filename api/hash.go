package api

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"metahub/api/model"
)

// hashCost is what hashes of ours cost.
type hashCost struct {
	argon  argonHash // without salt and key
	bcrypt int
	// nobody is a bcrypt hash at that cost, of something that was thrown away.
	nobody string
}

// fullCost is OWASP's first choice for Argon2id, and bcrypt at its default cost, which takes about as long.
func fullCost() hashCost {
	return hashCost{
		argon:  argonHash{memory: argonMemory, time: argonTime, threads: 1},
		bcrypt: bcrypt.DefaultCost,
		nobody: "$2a$10$3MjNTjf7BviVysRNBm.JKuFtou3FR0/z7uO9/saik5HTJoTme6kKq",
	}
}

const (
	argonMemory = 19 * 1024 // KiB
	argonTime   = 2
	argonSalt   = 16 // bytes
	argonKey    = 32 // bytes
)

// The most that a hash from a database may ask for, as nothing stops a hash that has begun: a tenant that writes its own database could
// take memory and processors of all.
const (
	maxArgonMemory  = 64 * 1024 // KiB
	maxArgonWork    = 4 * argonMemory * argonTime
	maxArgonTime    = 64
	maxArgonThreads = 4
	maxBcryptCost   = 14
)

const (
	bcryptBytes = 72   // where bcrypt stops reading
	maxPassword = 1024 // bytes
)

// passwordTooLong says so, for the issue of a field, or is empty.
func passwordTooLong(password string, as model.Hash) string {
	most := maxPassword
	if as == model.Bcrypt {
		most = bcryptBytes
	}
	if len(password) <= most {
		return ""
	}
	return fmt.Sprintf("must have at most %d bytes", most)
}

func (c *hashCost) hash(password string, as model.Hash) (string, error) {
	if as == model.Bcrypt {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), c.bcrypt)
		return string(hash), err
	}
	a := c.argon
	a.salt = random(argonSalt)
	a.key = a.derive(password, argonKey)
	return a.String(), nil
}

// work is which kinds of hash have been computed.
type work struct{ bcrypt, argon bool }

// compare reports whether a password is the one of a hash. Where it is not, as much has been computed for any user and for none: one hash
// of each kind that there is. Passwords are cut at 72 bytes for bcrypt, as other implementations do that made the hashes of existing users.
func (c *hashCost) compare(hash, password string) (same bool, done work) {
	if cost, err := bcrypt.Cost([]byte(hash)); err == nil && cost <= maxBcryptCost {
		same, done.bcrypt = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil, true
	} else if a, ok := parseArgon(hash); ok {
		same, done.argon = subtle.ConstantTimeCompare(a.derive(password, len(a.key)), a.key) == 1, true
	}
	if same {
		return true, done
	}
	if !done.bcrypt {
		_ = bcrypt.CompareHashAndPassword([]byte(c.nobody), []byte(password))
		done.bcrypt = true
	}
	if !done.argon {
		a := c.argon
		a.salt = make([]byte, argonSalt)
		a.derive(password, argonKey)
		done.argon = true
	}
	return false, done
}

// outdated reports whether a hash is of another kind than new ones are, or weaker.
func (c *hashCost) outdated(hash string, as model.Hash) bool {
	if as == model.Bcrypt {
		cost, err := bcrypt.Cost([]byte(hash))
		return err != nil || cost < c.bcrypt
	}
	a, ok := parseArgon(hash)
	return !ok || a.memory < c.argon.memory || a.memory*a.time < c.argon.memory*c.argon.time
}

// argonHash is an Argon2id hash (RFC 9106), in the form "$argon2id$v=19$m=19456,t=2,p=1$salt$key".
type argonHash struct {
	memory, time, threads uint32
	salt, key             []byte
}

func (a *argonHash) derive(password string, size int) []byte {
	return argon2.IDKey([]byte(password), a.salt, a.time, a.memory, uint8(a.threads), uint32(size))
}

func (a *argonHash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.memory, a.time, a.threads,
		base64.RawStdEncoding.EncodeToString(a.salt), base64.RawStdEncoding.EncodeToString(a.key))
}

// parseArgon reads a hash that does not cost too much.
func parseArgon(text string) (a argonHash, ok bool) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return a, false
	}
	n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &a.memory, &a.time, &a.threads)
	if err != nil || n != 3 || parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", a.memory, a.time, a.threads) {
		return a, false
	}
	cheap := a.memory <= maxArgonMemory && a.time >= 1 && a.time <= maxArgonTime && a.threads >= 1 && a.threads <= maxArgonThreads &&
		a.memory >= 8*a.threads && a.memory*a.time <= maxArgonWork
	if !cheap {
		return a, false
	}
	var faults [2]error
	a.salt, faults[0] = base64.RawStdEncoding.DecodeString(parts[4])
	a.key, faults[1] = base64.RawStdEncoding.DecodeString(parts[5])
	return a, faults == [2]error{} && len(a.salt) >= 8 && len(a.salt) <= 64 && len(a.key) >= 16 && len(a.key) <= 64
}
