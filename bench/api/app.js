// What metahub is measured next to in bench/api.sh: the list of products as a site's Express service answers it, with mongoose and .lean().
// PORT and MONGO_URI say where.
const express = require("express");
const mongoose = require("mongoose");

const localized = Object.fromEntries(
  ["tr", "en", "de", "pl", "fr", "es", "it", "pt", "ar", "ru", "zh", "hi"].map((language) => [language, String]),
);
const productSchema = new mongoose.Schema(
  {
    tenant: String,
    title: localized,
    slug: localized,
    summary: localized,
    description: localized,
    metaDescription: localized,
    price: Number,
    stock: Number,
    tags: [String],
    order: Number,
    isActive: Boolean,
    isPublished: Boolean,
  },
  { timestamps: true, autoIndex: false, autoCreate: false },
);
const Product = mongoose.model("product", productSchema);

const app = express();
app.disable("x-powered-by");

app.get("/api/products", async (req, res, next) => {
  try {
    const filter = { tenant: req.headers["x-tenant"], isActive: true, isPublished: true };
    const data = await Product.find(filter).select("-__v -tenant").sort({ order: 1, createdAt: -1 }).limit(100).lean();
    res.json({ success: true, message: "OK", data, meta: { total: data.length, page: 1, limit: 100 } });
  } catch (err) {
    next(err);
  }
});

mongoose.connect(process.env.MONGO_URI, { maxPoolSize: 64 }).then(() => app.listen(Number(process.env.PORT), "127.0.0.1"));
