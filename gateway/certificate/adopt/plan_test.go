package adopt

import (
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	ca := letsEncrypt(t)
	folder := t.TempDir()
	for _, name := range []string{"absent", "better", "same", "worse"} {
		f := ca.files(name + ".test")
		write(t, f.full+f.key, folder, name+".pem")
	}
	stored := map[string]time.Time{"better.test": days(81), "same.test": days(80), "worse.test": days(79)}
	take, skip := Plan(Find([]string{folder}, today).Found, func(domain string) (time.Time, bool) {
		notAfter, ok := stored[domain]
		return notAfter, ok
	})
	expectFound(t, Findings{Found: take}, "absent.test pem "+folder+"/absent.pem", "worse.test pem "+folder+"/worse.pem")
	expectUnread(t, Findings{Unread: skip},
		folder+`/better.pem: holds a certificate for "better.test" until 2031-08-08, and the one in the storage is valid until 2031-08-09: that one stays`,
		folder+`/same.pem: holds a certificate for "same.test" until 2031-08-08, and the one in the storage is valid until 2031-08-08: that one stays`)
}
