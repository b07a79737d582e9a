package api

import (
	"strings"

	"metahub/api/model"
)

// translations are what clients are told, by the English text, in Turkish and German. "{}" stands for a part that differs: it is
// carried over, translated itself where it is a text of ours. What is for programmers alone, such as where a JSON text is broken, stays
// English.
var translations = [...]struct{ en, tr, de string }{
	{"OK", "Tamam", "OK"},
	{"Created.", "Oluşturuldu.", "Angelegt."},
	{"Updated.", "Güncellendi.", "Gespeichert."},
	{"Deleted.", "Silindi.", "Gelöscht."},
	{"Signed in.", "Giriş yapıldı.", "Angemeldet."},
	{"Signed out.", "Çıkış yapıldı.", "Abgemeldet."},
	{"Validation error.", "Doğrulama hatası.", "Die Eingaben sind fehlerhaft."},

	{"The request names no tenant.", "İstek bir kiracı belirtmiyor.", "Die Anfrage nennt keinen Mandanten."},
	{"There is nothing at this address.", "Bu adreste bir şey yok.", "Unter dieser Adresse gibt es nichts."},
	{"There is nothing at this address: an id is 24 hexadecimal digits.", "Bu adreste bir şey yok: kimlik 24 onaltılık basamaktır.", "Unter dieser Adresse gibt es nichts: eine ID hat 24 hexadezimale Ziffern."},
	{"There is no document with this id.", "Bu kimliğe sahip bir kayıt yok.", "Es gibt kein Dokument mit dieser ID."},
	{"This address allows {}.", "Bu adres şunlara izin verir: {}.", "Diese Adresse erlaubt {}."},
	{"The document has changed since you read it: read it again.", "Kayıt, siz okuduktan sonra değişti: yeniden okuyun.", "Das Dokument hat sich geändert, seit Sie es gelesen haben: lesen Sie es neu."},
	{"Others change this document all the time. Try again in a moment.", "Başkaları bu kaydı sürekli değiştiriyor. Birazdan yeniden deneyin.", "Andere ändern dieses Dokument fortwährend. Versuchen Sie es gleich noch einmal."},
	{"Sign in first: send the token as \"Authorization: Bearer …\" or as its cookie.", "Önce giriş yapın: belirteci \"Authorization: Bearer …\" ya da onun çerezi olarak gönderin.", "Melden Sie sich erst an: senden Sie das Token als \"Authorization: Bearer …\" oder als dessen Cookie."},
	{"The token is not valid here any more: sign in again.", "Belirteç artık geçerli değil: yeniden giriş yapın.", "Das Token gilt hier nicht mehr: melden Sie sich neu an."},
	{"The session is over: sign in again.", "Oturum sona erdi: yeniden giriş yapın.", "Die Sitzung ist zu Ende: melden Sie sich neu an."},
	{"The API key is not valid here, or not any more.", "API anahtarı burada geçerli değil ya da artık geçerli değil.", "Der API-Schlüssel gilt hier nicht, oder nicht mehr."},
	{"New users register at /api/users/register.", "Yeni kullanıcılar /api/users/register adresinde kaydolur.", "Neue Benutzer registrieren sich unter /api/users/register."},
	{"Nobody can register here: accounts are made by an administrator.", "Burada kayıt olunamaz: hesapları bir yönetici açar.", "Hier kann sich niemand registrieren: Konten legt ein Administrator an."},
	{"Too many sign in at this moment. Try again in a moment.", "Şu anda çok fazla kişi giriş yapıyor. Birazdan yeniden deneyin.", "Gerade melden sich zu viele an. Versuchen Sie es gleich noch einmal."},
	{"There are {} keys already: revoke one first.", "Zaten {} anahtar var: önce birini iptal edin.", "Es gibt schon {} Schlüssel: widerrufen Sie erst einen."},
	{"The e-mail address or the password is wrong.", "E-posta adresi ya da parola yanlış.", "Die E-Mail-Adresse oder das Passwort ist falsch."},
	{"The present password is wrong.", "Mevcut parola yanlış.", "Das bisherige Passwort ist falsch."},
	{"This site sends no mail. Ask one of its administrators instead.", "Bu site e-posta göndermez. Bunun yerine yöneticilerinden birine başvurun.", "Diese Website verschickt keine E-Mails. Wenden Sie sich stattdessen an einen ihrer Administratoren."},
	{"If this address has an account here, a mail is on its way.", "Bu adresin burada bir hesabı varsa, bir e-posta yolda.", "Wenn diese Adresse hier ein Konto hat, ist eine E-Mail unterwegs."},
	{"This link or code is not valid, or not any more: ask for a new one.", "Bu bağlantı ya da kod geçerli değil ya da artık geçerli değil: yenisini isteyin.", "Dieser Link oder Code gilt nicht, oder nicht mehr: fordern Sie einen neuen an."},
	{"Too many mails are on their way. Try again in a moment.", "Şu anda çok fazla e-posta yolda. Birazdan yeniden deneyin.", "Gerade sind zu viele E-Mails unterwegs. Versuchen Sie es gleich noch einmal."},
	{"Addresses are not verified here.", "Burada adresler doğrulanmaz.", "Adressen werden hier nicht bestätigt."},
	{"Accounts have no second factor here.", "Burada hesapların ikinci doğrulama adımı yok.", "Konten haben hier keinen zweiten Faktor."},
	{"Your role does not allow this.", "Rolünüz buna izin vermiyor.", "Ihre Rolle erlaubt das nicht."},
	{"A cookie signs in only pages of the tenant's own hosts: send their Origin, or the token as a bearer.", "Çerez yalnızca kiracının kendi sayfaları için geçerlidir: onların Origin başlığını ya da belirteci gönderin.", "Ein Cookie meldet nur Seiten der eigenen Hosts des Mandanten an: senden Sie deren Origin, oder das Token als Bearer."},
	{"Too many attempts. Wait a moment, then try again.", "Çok fazla deneme. Biraz bekleyip yeniden deneyin.", "Zu viele Versuche. Warten Sie einen Moment, dann versuchen Sie es erneut."},
	{"Too many listen already. Try again in a moment.", "Şu anda çok fazla dinleyen var. Birazdan yeniden deneyin.", "Es hören schon zu viele zu. Versuchen Sie es gleich noch einmal."},
	{"The database cannot be reached just now. Try again in a moment.", "Veritabanına şu anda ulaşılamıyor. Birazdan yeniden deneyin.", "Die Datenbank ist gerade nicht erreichbar. Versuchen Sie es gleich noch einmal."},
	{"The database takes too long over this. Try again in a moment.", "Veritabanı bunun için çok uzun sürüyor. Birazdan yeniden deneyin.", "Die Datenbank braucht dafür zu lange. Versuchen Sie es gleich noch einmal."},
	{"Something went wrong here. The request id helps to find out what.", "Bir sorun oluştu. İstek kimliği nedenini bulmaya yardımcı olur.", "Hier ist etwas schiefgegangen. Die Request-ID hilft herauszufinden, was."},
	{"Another document has the same {} already.", "Başka bir kayıtta aynı {} zaten var.", "Ein anderes Dokument hat bereits dasselbe {}."},
	{"Another document has the same unique value already.", "Başka bir kayıtta aynı benzersiz değer zaten var.", "Ein anderes Dokument hat bereits denselben eindeutigen Wert."},
	{"Too many documents have this title: give this one a slug of its own.", "Bu başlık çok fazla kayıtta var: buna kendi adresini verin.", "Zu viele Dokumente haben diesen Titel: geben Sie diesem einen eigenen Slug."},

	{"The page is larger than 16 MiB: ask for fewer documents by the parameter \"limit\".", "Sayfa 16 MiB'den büyük: \"limit\" ile daha az kayıt isteyin.", "Die Seite ist größer als 16 MiB: fordern Sie mit \"limit\" weniger Dokumente an."},
	{"Pages reach no further than {} documents: go on by \"cursor\", which the last of them names, or narrow the list by a filter.", "Sayfalar en çok {} kayda ulaşır: son sayfanın verdiği \"cursor\" ile devam edin ya da listeyi süzün.", "Seiten reichen nur {} Dokumente weit: blättern Sie mit \"cursor\" weiter, den die letzte nennt, oder filtern Sie die Liste."},
	{"A list goes by pages or by a cursor: leave out {}.", "Liste ya sayfalarla ya da imleçle ilerler: {} olmadan gönderin.", "Eine Liste geht nach Seiten oder nach einem Cursor: lassen Sie {} weg."},
	{"The cursor does not belong to this list: begin with an empty one.", "İmleç bu listeye ait değil: boş bir imleçle başlayın.", "Der Cursor gehört nicht zu dieser Liste: beginnen Sie mit einem leeren."},
	{"A list is sorted by at most {} fields.", "Liste en çok {} alana göre sıralanır.", "Eine Liste wird nach höchstens {} Feldern sortiert."},
	{"The list cannot be sorted by {} twice.", "Liste {} alanına göre iki kez sıralanamaz.", "Die Liste kann nicht zweimal nach {} sortiert werden."},
	{"The list cannot be sorted by {}, only by: {}.", "Liste {} alanına göre sıralanamaz, yalnızca şunlara göre: {}.", "Die Liste kann nicht nach {} sortiert werden, nur nach: {}."},
	{"At most {} fields can be chosen.", "En çok {} alan seçilebilir.", "Es können höchstens {} Felder gewählt werden."},
	{"At most {} parameters are taken.", "En çok {} parametre alınır.", "Es werden höchstens {} Parameter angenommen."},
	{"A parameter is missing: {}.", "Bir parametre eksik: {}.", "Ein Parameter fehlt: {}."},
	{"The field {} is unknown. Known are: {}.", "{} alanı bilinmiyor. Bilinenler: {}.", "Das Feld {} ist unbekannt. Bekannt sind: {}."},
	{"The parameter {} is unknown. Known are: {}.", "{} parametresi bilinmiyor. Bilinenler: {}.", "Der Parameter {} ist unbekannt. Bekannt sind: {}."},
	{"The parameter {} is there twice.", "{} parametresi iki kez var.", "Der Parameter {} ist zweimal da."},
	{"The parameter {} is a whole number from 1 to {}.", "{} parametresi 1 ile {} arasında bir tam sayıdır.", "Der Parameter {} ist eine ganze Zahl von 1 bis {}."},
	{"The parameter {} must be there 1 to {} times.", "{} parametresi 1 ile {} kez arasında olmalı.", "Der Parameter {} muss 1- bis {}-mal da sein."},
	{"The parameter {} must be {}.", "{} parametresi şöyle olmalı: {}.", "Der Parameter {} muss sein: {}."},
	{"The name of a parameter is too long.", "Bir parametrenin adı çok uzun.", "Der Name eines Parameters ist zu lang."},
	{"The query string is not well-formed.", "Sorgu dizesi bozuk.", "Der Query-String ist nicht wohlgeformt."},
	{"The value of the parameter {} is not well-formed.", "{} parametresinin değeri bozuk.", "Der Wert des Parameters {} ist nicht wohlgeformt."},
	{"The value of the parameter {} must be UTF-8 text of at most {} bytes.", "{} parametresinin değeri en çok {} baytlık UTF-8 metni olmalı.", "Der Wert des Parameters {} muss UTF-8-Text von höchstens {} Bytes sein."},
	{"a whole number", "bir tam sayı", "eine ganze Zahl"},
	{"a number", "bir sayı", "eine Zahl"},
	{"\"true\" or \"false\"", "\"true\" ya da \"false\"", "\"true\" oder \"false\""},
	{"24 hexadecimal digits", "24 onaltılık basamak", "24 hexadezimale Ziffern"},
	{"a language like \"de\"", "\"de\" gibi bir dil", "eine Sprache wie \"de\""},
	{"a date like {}", "{} gibi bir tarih", "ein Datum wie {}"},
	{"a text of at most {} bytes", "en çok {} baytlık bir metin", "ein Text von höchstens {} Bytes"},
	{"at most {} values separated by commas", "virgülle ayrılmış en çok {} değer", "höchstens {} Werte, durch Kommas getrennt"},
	{"values separated by commas, each of them {}", "virgülle ayrılmış değerler, her biri {}", "Werte, durch Kommas getrennt, jeder davon {}"},
	{"one of: {}", "şunlardan biri: {}", "eines von: {}"},

	{"The body must be JSON: send it with Content-Type: application/json.", "Gövde JSON olmalı: Content-Type: application/json ile gönderin.", "Der Body muss JSON sein: senden Sie ihn mit Content-Type: application/json."},
	{"The body must not be compressed.", "Gövde sıkıştırılmış olmamalı.", "Der Body darf nicht komprimiert sein."},
	{"The body is too large.", "Gövde çok büyük.", "Der Body ist zu groß."},
	{"The body broke off.", "Gövde yarıda kesildi.", "Der Body brach ab."},
	{"The body has no field to set.", "Gövdede ayarlanacak bir alan yok.", "Der Body hat kein Feld, das gesetzt werden soll."},
	{"The body is not a JSON object that can be stored:{}.", "Gövde kaydedilebilir bir JSON nesnesi değil:{}.", "Der Body ist kein JSON-Objekt, das gespeichert werden kann:{}."},
	{"The header {} must have at most {} bytes.", "{} başlığı en çok {} bayt olmalı.", "Der Header {} darf höchstens {} Bytes haben."},
	{"This Idempotency-Key came with another body before: take a new one.", "Bu Idempotency-Key daha önce başka bir gövdeyle geldi: yenisini kullanın.", "Dieser Idempotency-Key kam schon mit einem anderen Body: nehmen Sie einen neuen."},
	{"The same request is still being done. Try again in a moment.", "Aynı istek hâlâ işleniyor. Birazdan yeniden deneyin.", "Dieselbe Anfrage wird noch bearbeitet. Versuchen Sie es gleich noch einmal."},
	{"The body must be {}.", "Gövde şöyle olmalı: {}.", "Der Body muss so sein: {}."},
	{"There must be 1 to {} items.", "1 ile {} arasında öğe olmalı.", "Es müssen 1 bis {} Elemente sein."},
	{"The item is not one that can be done: look at {}.", "Bu öğe yapılabilecek bir şey değil: {} değerine bakın.", "Das Element ist keines, das ausgeführt werden kann: sehen Sie nach {}."},
	{"The body is not a well-formed form.", "Gövde düzgün bir form değil.", "Der Body ist kein wohlgeformtes Formular."},

	{"is missing", "eksik", "fehlt"},
	{"is not a field that can be set", "ayarlanabilen bir alan değil", "ist kein Feld, das gesetzt werden kann"},
	{"is not a name that can be set", "ayarlanabilen bir ad değil", "ist kein Name, der gesetzt werden kann"},
	{"is not a name like a[b][0]", "a[b][0] gibi bir ad değil", "ist kein Name wie a[b][0]"},
	{"is too long a name", "çok uzun bir ad", "ist ein zu langer Name"},
	{"is a value and has fields at once", "hem değer hem de alanları var", "ist ein Wert und hat zugleich Felder"},
	{"is there twice", "iki kez var", "ist zweimal da"},
	{"is not JSON that can be stored", "kaydedilebilir JSON değil", "ist kein JSON, das gespeichert werden kann"},
	{"is not allowed here", "burada izin verilmiyor", "ist hier nicht erlaubt"},
	{"cannot be read", "okunamıyor", "kann nicht gelesen werden"},
	{"must be a text", "bir metin olmalı", "muss ein Text sein"},
	{"must be a list of scopes like {}", "{} gibi yetkilerin listesi olmalı", "muss eine Liste von Rechten wie {} sein"},
	{"must be a scope like {}, of a resource or \"*\"", "bir kaynağın ya da \"*\" için {} gibi bir yetki olmalı", "muss ein Recht wie {} sein, an einer Ressource oder \"*\""},
	{"must be a date like {}, in the future", "gelecekte, {} gibi bir tarih olmalı", "muss ein Datum in der Zukunft wie {} sein"},
	{"must be a list: name its elements [0], [1] and so on", "bir liste olmalı: öğelerini [0], [1] diye adlandırın", "muss eine Liste sein: nennen Sie ihre Elemente [0], [1] und so weiter"},
	{"must be a JPEG, PNG, GIF, WebP, AVIF or PDF file: its content is none of these", "JPEG, PNG, GIF, WebP, AVIF ya da PDF dosyası olmalı: içeriği bunlardan biri değil", "muss eine JPEG-, PNG-, GIF-, WebP-, AVIF- oder PDF-Datei sein: der Inhalt ist nichts davon"},
	{"must be a file of at most 10 MiB", "en çok 10 MiB'lik bir dosya olmalı", "muss eine Datei von höchstens 10 MiB sein"},
	{"must fit: the tenant's files have reached their limit. Remove some, or raise \"uploads\"", "sığmalı: kiracının dosyaları sınırına ulaştı. Birkaçını silin ya da \"uploads\" değerini yükseltin", "muss Platz haben: die Dateien des Mandanten haben ihre Grenze erreicht. Löschen Sie einige, oder erhöhen Sie \"uploads\""},
	{"must come with at most {} files in a form", "bir formda en çok {} dosya olmalı", "darf in einem Formular mit höchstens {} Dateien kommen"},
	{"must be a list of addresses or ids", "adreslerin ya da kimliklerin listesi olmalı", "muss eine Liste von Adressen oder Ids sein"},
	{"must not be a file: files are not taken here. Send the address of one as a text", "dosya olmamalı: burada dosya alınmaz. Dosyanın adresini metin olarak gönderin", "darf keine Datei sein: hier werden keine genommen. Senden Sie die Adresse einer Datei als Text"},
	{"must not be a file: this tenant keeps none. Send the address of one as JSON", "dosya olmamalı: bu kiracı dosya saklamaz. Dosyanın adresini JSON olarak gönderin", "darf keine Datei sein: dieser Mandant bewahrt keine auf. Senden Sie die Adresse einer Datei als JSON"},
	{"must not be a file: the document has an id of another program", "dosya olmamalı: belgenin kimliği başka bir programdan", "darf keine Datei sein: das Dokument hat die Id eines anderen Programms"},
	{"must not be there more than {} times", "en çok {} kez olabilir", "darf höchstens {}-mal da sein"},
	{"must not hold an array directly within an array: the embedded database cannot keep it", "doğrudan dizi içinde dizi içermemeli: gömülü veritabanı bunu saklayamaz", "darf kein Array direkt in einem Array enthalten: die eingebaute Datenbank kann das nicht speichern"},
	{"must not have the same element twice", "aynı öğeyi iki kez içermemeli", "darf kein Element zweimal enthalten"},
	{"must not have the property {}", "{} özelliğini içermemeli", "darf die Eigenschaft {} nicht haben"},
	{"must have at least {} characters", "en az {} karakter olmalı", "muss mindestens {} Zeichen haben"},
	{"must have at most {} characters", "en çok {} karakter olmalı", "darf höchstens {} Zeichen haben"},
	{"must have at least {} elements", "en az {} öğe olmalı", "muss mindestens {} Elemente haben"},
	{"must have at most {} elements", "en çok {} öğe olmalı", "darf höchstens {} Elemente haben"},
	{"must have at least {} properties", "en az {} özellik olmalı", "muss mindestens {} Eigenschaften haben"},
	{"must have at most {} properties", "en çok {} özellik olmalı", "darf höchstens {} Eigenschaften haben"},
	{"must have at most {} values", "en çok {} değer olmalı", "darf höchstens {} Werte haben"},
	{"must have at most {} bytes", "en çok {} bayt olmalı", "darf höchstens {} Bytes haben"},
	{"must be of type {}", "türü {} olmalı", "muss vom Typ {} sein"},
	{"must be of the format {}", "biçimi {} olmalı", "muss das Format {} haben"},
	{"must be one of {}", "şunlardan biri olmalı: {}", "muss eines sein von: {}"},
	{"must be at least {}", "en az {} olmalı", "muss mindestens {} sein"},
	{"must be at most {}", "en çok {} olmalı", "darf höchstens {} sein"},
	{"must be more than {}", "{} değerinden büyük olmalı", "muss größer als {} sein"},
	{"must be less than {}", "{} değerinden küçük olmalı", "muss kleiner als {} sein"},
	{"must be a multiple of {}", "{} sayısının katı olmalı", "muss ein Vielfaches von {} sein"},
	{"must match {}", "{} ile eşleşmeli", "muss zu {} passen"},
	{"must be {}", "{} olmalı", "muss {} sein"},
}

// translate says a message in a language, or in English where there is no translation.
func translate(language model.Language, message string) string {
	switch language.String() {
	case "tr":
		return translated(message, 0, func(i int) string { return translations[i].tr })
	case "de":
		return translated(message, 0, func(i int) string { return translations[i].de })
	}
	return message
}

// maxTranslations bounds how deep a text of ours lies within another.
const maxTranslations = 3

func translated(message string, depth int, to func(i int) string) string {
	if depth == maxTranslations {
		return message
	}
	for i := range translations {
		parts, ok := match(translations[i].en, message)
		if !ok {
			continue
		}
		out := to(i)
		for _, part := range parts {
			out = strings.Replace(out, "{}", strings.ReplaceAll(translated(part, depth+1, to), "{}", "{\u200b}"), 1)
		}
		return strings.ReplaceAll(out, "{\u200b}", "{}")
	}
	return message
}

// match compares a message with a pattern and returns what it has in the place of each "{}".
func match(pattern, message string) (parts []string, ok bool) {
	before, pattern, open := strings.Cut(pattern, "{}")
	if message, ok = strings.CutPrefix(message, before); !ok {
		return nil, false
	}
	for open {
		var next string
		next, pattern, open = strings.Cut(pattern, "{}")
		at := strings.Index(message, next)
		if !open { // the last text ends the message
			at = len(message) - len(next)
		}
		if at < 0 || message[at:at+len(next)] != next {
			return nil, false
		}
		parts, message = append(parts, message[:at]), message[at+len(next):]
	}
	return parts, message == ""
}
