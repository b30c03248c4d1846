-- What the README says for Neovim, in the oldest form that Debian ships (0.7).
vim.opt.shortmess:append("I")
vim.opt.swapfile = false
vim.diagnostic.config({ virtual_text = { prefix = "■" }, severity_sort = true })

vim.api.nvim_create_autocmd("FileType", {
  pattern = { "yaml", "sql", "python" },
  callback = function(args)
    local file = vim.api.nvim_buf_get_name(args.buf)
    local found = vim.fs and vim.fs.find("mxcp-site.yml", { upward = true, path = vim.fn.fnamemodify(file, ":h") })[1]
      or vim.fn.findfile("mxcp-site.yml", vim.fn.fnamemodify(file, ":p:h") .. ";")
    if not found or found == "" then
      return
    end
    local root = vim.fn.fnamemodify(found, ":p:h")
    local client = vim.lsp.start_client({ name = "mxcp", cmd = { vim.env.MXCP, "lsp" }, root_dir = root })
    vim.lsp.buf_attach_client(args.buf, client)
  end,
})
